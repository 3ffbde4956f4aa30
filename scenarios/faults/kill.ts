import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("drive.ts", import.meta.url));

export interface DriveOptions {
  folder: string;
  runId: string;
  rows: number;
  failpoint?: string;
  /** Called with the process as soon as it runs; may kill it, or a step. */
  meanwhile?: (pid: number) => Promise<void>;
}

/** Runs the control plane of the fault scripts until it ends or dies; "killed" is SIGKILL. */
export async function drive(options: DriveOptions): Promise<"killed" | "ended"> {
  const { folder, runId, rows, failpoint } = options;
  const child = spawn(process.execPath, [program, folder, runId, String(rows)], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ESPALIER_FAILPOINT: failpoint ?? "" },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += String(chunk)));
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) =>
    child.once("close", (code, signal) => resolve({ code, signal })),
  );
  const pid = child.pid;
  if (pid !== undefined) await options.meanwhile?.(pid);
  const { code, signal } = await ended;
  if (signal === "SIGKILL") return "killed";
  if (code !== 0) throw new Error(`the control plane ended with ${code ?? signal}: ${output}`);
  return "ended";
}

/** Processes of attempts of a project that are alive: wrapper and step alike. */
export function stepProcesses(folder: string): number[] {
  const attempts = join(folder, ".espalier", "attempts");
  const pids: number[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (readFileSync(`/proc/${name}/environ`, "utf8").includes(`ESPALIER_OUTPUTS=${attempts}`))
        pids.push(Number(name));
    } catch {
      // It ended while we looked.
    }
  }
  return pids;
}
