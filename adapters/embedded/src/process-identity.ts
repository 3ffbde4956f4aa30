import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Tells a process from a later one that got the same number: its start time, and the boot that counts it. */
export interface ProcessIdentity {
  pid: number;
  startedAt: string;
  boot: string;
}

/**
 * `dead`: nobody has its number, or it is a zombie; its process group may have members left, which keep the number from being given to
 * anybody else. `replaced`: the number belongs to another process now, so the group is gone too.
 */
export async function findProcess(identity: ProcessIdentity): Promise<"alive" | "dead" | "replaced"> {
  if (process.platform !== "linux") {
    const start = await startOnOtherSystems(identity.pid);
    if (start === undefined) return "dead";
    return start === identity.startedAt ? "alive" : "replaced";
  }
  const text = await procText(identity.pid);
  const now = text === undefined ? undefined : parseIdentity(text);
  if (!now) return "dead";
  if (now.boot !== identity.boot || now.startedAt !== identity.startedAt) return "replaced";
  return now.zombie ? "dead" : "alive";
}

async function procText(pid: number): Promise<string | undefined> {
  try {
    const [stat, boot] = await Promise.all([
      readFile(`/proc/${pid}/stat`, "utf8"),
      readFile("/proc/sys/kernel/random/boot_id", "utf8"),
    ]);
    return `${stat.trim()}\n${boot.trim()}\n`;
  } catch {
    // Gone while we looked.
    return undefined;
  }
}

/** What the wrapper leaves: a line of `/proc/<pid>/stat` (or `<pid> <start>` elsewhere) and one of the boot's id. */
export function parseIdentity(text: string): (ProcessIdentity & { zombie: boolean }) | undefined {
  const [stat, boot] = text.split("\n");
  if (stat === undefined || boot === undefined || !text.endsWith("\n")) return undefined;
  const pid = Number.parseInt(stat, 10);
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
  const afterName = stat.lastIndexOf(")");
  if (afterName < 0) return { pid, startedAt: stat.slice(stat.indexOf(" ") + 1).trim(), boot, zombie: false };
  // Fields behind the name count from 3 (state); 22 is the start time in clock ticks since boot.
  const fields = stat.slice(afterName + 2).split(" ");
  return { pid, startedAt: fields[19] ?? "", boot, zombie: fields[0] === "Z" || fields[0] === "X" };
}

async function startOnOtherSystems(pid: number): Promise<string | undefined> {
  try {
    return (await run("ps", ["-o", "lstart=", "-p", String(pid)])).stdout.trim();
  } catch {
    return undefined;
  }
}
