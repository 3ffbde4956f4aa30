/** Structured logs: one JSON object a line, on standard output, errors on standard error. */

type Level = "info" | "warn" | "error";

/** Lines of warnings and errors a second; an overloaded server must not be busy with saying so. */
const mostLinesASecond = 50;

let second = 0;
let lines = 0;
let suppressed = 0;

/** `fields` never hold values of a request: only ids, names, codes, counts and durations. */
export function log(level: Level, message: string, fields: Readonly<Record<string, unknown>> = {}): void {
  if (level !== "info" && !mayWrite()) return;
  const line = JSON.stringify({ time: new Date().toISOString(), level, pid: process.pid, message, ...fields });
  if (level === "info") console.log(line);
  else console.error(line);
}

const repeatSeconds = 10;

/** For faults that go on, such as a full disk: one line in ten seconds, which says how many there were. */
export function createSparseLog(): (message: string, fields: Readonly<Record<string, unknown>>) => void {
  let nextAt = 0;
  let times = 0;
  return (message, fields) => {
    times++;
    const now = performance.now();
    if (now < nextAt) return;
    log("warn", message, { ...fields, times });
    nextAt = now + repeatSeconds * 1000;
    times = 0;
  };
}

function mayWrite(): boolean {
  const now = Math.floor(Date.now() / 1000);
  if (now !== second) {
    if (suppressed > 0) {
      const message = `${suppressed} more lines of warnings and errors in the second before were not written`;
      console.error(JSON.stringify({ time: new Date().toISOString(), level: "warn", pid: process.pid, message }));
    }
    second = now;
    lines = 0;
    suppressed = 0;
  }
  lines++;
  if (lines <= mostLinesASecond) return true;
  suppressed++;
  return false;
}
