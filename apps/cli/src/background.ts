import { spawn } from "node:child_process";
import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { EspalierError } from "@espalier/core";
import { entryPoint, findProject } from "@espalier/host";
import { runningOwner, type SessionOptions } from "./session.ts";
import { waitUntil } from "./wait-until.ts";

/**
 * Sees to it that what a command leaves behind goes on: where no control plane runs, one is started in a process of its own,
 * which ends when no run is left.
 */
export async function startInBackground({ project, stack }: SessionOptions): Promise<void> {
  const directory = await findProject(project ?? process.cwd());
  if ((await runningOwner(directory)) !== undefined) return;
  await mkdir(join(directory, ".espalier"), { recursive: true });
  const log = await open(join(directory, ".espalier", "control-plane.log"), "a");
  const words = ["up", "--port", "0", "--until-idle", "--project", directory];
  const child = spawn(
    process.execPath,
    [entryPoint("cli"), ...words, ...(stack === undefined ? [] : ["--stack", stack])],
    { detached: true, stdio: ["ignore", log.fd, log.fd] },
  );
  child.unref();
  try {
    await waitUntil(async () => {
      if ((await runningOwner(directory)) !== undefined) return true;
      if (child.exitCode === null) return false;
      throw new EspalierError("UNAVAILABLE", `The background control plane ended with ${child.exitCode}`, {
        at: ".espalier/control-plane.log",
        hint: "Read that log, or run `espalier up`.",
      });
    }, 15_000);
  } finally {
    await log.close();
  }
}
