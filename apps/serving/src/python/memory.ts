import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { totalmem } from "node:os";

/** Resident memory of a process. undefined: it is gone, or this system does not tell. */
export function residentBytes(pid: number): number | undefined {
  try {
    if (process.platform === "linux") {
      const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
      return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
    }
    return Number(execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" })) * 1024;
  } catch {
    // It ended between two looks; its end is noticed elsewhere.
    return undefined;
  }
}

/** What the machine, or the container, has. */
function availableBytes(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 && constrained < totalmem() ? constrained : totalmem();
}

/** A share for each worker, with room for the server itself. */
export function defaultMemoryBytes(workers: number): number {
  return Math.floor((availableBytes() * 0.8) / workers);
}
