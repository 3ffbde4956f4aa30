import { readdirSync, readFileSync } from "node:fs";

/** A process and all that it has started, as they are now. */
function tree(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc").filter((one) => /^\d+$/.test(one))) {
    const stat = readOr(`/proc/${name}/stat`);
    // The name in parentheses may hold anything, so the fields are counted from its end.
    const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
    if (!Number.isNaN(parent)) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found = [pid];
  for (let index = 0; index < found.length; index += 1) found.push(...(children.get(found[index] as number) ?? []));
  return found;
}

/** Resident megabytes of a process and its children; pages that they share count once (Pss), where the kernel tells. */
export function residentMegabytes(pid: number): number {
  let kilobytes = 0;
  for (const one of tree(pid)) {
    const pss = /^Pss:\s+(\d+) kB/m.exec(readOr(`/proc/${one}/smaps_rollup`))?.[1];
    const rss = /^VmRSS:\s+(\d+) kB/m.exec(readOr(`/proc/${one}/status`))?.[1];
    kilobytes += Number(pss ?? rss ?? 0);
  }
  return kilobytes / 1024;
}

/** The greatest of many samples while something goes on. */
export async function peakMegabytes<Value>(pid: number, work: () => Promise<Value>): Promise<[Value, number]> {
  let peak = residentMegabytes(pid);
  const timer = setInterval(() => {
    peak = Math.max(peak, residentMegabytes(pid));
  }, 100);
  try {
    return [await work(), Math.max(peak, residentMegabytes(pid))];
  } finally {
    clearInterval(timer);
  }
}

function readOr(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // It has ended meanwhile.
    return "";
  }
}
