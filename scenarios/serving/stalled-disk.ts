import { execFile } from "node:child_process";
import { mkdir, truncate, writeFile } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A file system of its own that can be made to answer nothing. */
export interface StalledDisk {
  stall(): Promise<void>;
  goOn(): Promise<void>;
  unmount(): Promise<void>;
}

/** Mounts a file as the folder (root, Linux, loop devices); `{ skipped }` says why it can not. */
export async function mountDisk(image: string, folder: string): Promise<StalledDisk | { skipped: string }> {
  if (process.platform !== "linux" || process.getuid?.() !== 0) {
    return { skipped: "a disk is stalled by root on Linux only" };
  }
  try {
    await writeFile(image, "");
    await truncate(image, 2 * 1024 ** 3);
    await mkdir(folder, { recursive: true });
    await run("mkfs.ext4", ["-q", "-F", image]);
    await run("mount", ["-o", "loop", image, folder]);
  } catch (error) {
    return { skipped: `no disk to stall: ${error instanceof Error ? error.message.trim() : error}` };
  }
  return {
    stall: async () => void (await run("fsfreeze", ["--freeze", folder])),
    goOn: async () => void (await run("fsfreeze", ["--unfreeze", folder])),
    unmount: async () => void (await run("umount", [folder])),
  };
}
