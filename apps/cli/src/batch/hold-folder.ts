import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EspalierError } from "@espalier/core";

/**
 * Keeps a second command out of a folder that this one works in: both would write the same parts. It is let go
 * when the process ends, however that is. CONFLICT: a living process has it.
 */
export async function holdFolder(folder: string): Promise<void> {
  const path = join(folder, "held-by");
  for (;;) {
    try {
      return await writeFile(path, String(process.pid), { flag: "wx" });
    } catch (error) {
      if (!isCode(error, "EEXIST")) throw error;
    }
    const pid = Number(await readFile(path, "utf8").catch(absent));
    if (Number.isInteger(pid) && pid > 0 && isAlive(pid)) {
      throw new EspalierError("CONFLICT", `The same command runs already, as process ${pid}`, {
        at: folder,
        hint: `Wait for it. If that process is another program, remove ${path}.`,
      });
    }
    await rm(path, { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return isCode(error, "EPERM");
  }
}

function absent(error: unknown): string {
  if (isCode(error, "ENOENT")) return "";
  throw error;
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
