import { open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { type CaptureHeader, captureHeaderSchema } from "@espalier/core";

/** Segments of captured predictions on disk: which are closed, and how those of a killed process are. */

const openSuffix = ".open.jsonl";
const orphanMilliseconds = 60 * 60 * 1000;

/** Full paths, oldest first: names begin with a ULID. */
export async function closedSegments(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch(() => []);
  return names
    .filter((name) => name.endsWith(".jsonl") && !name.endsWith(openSuffix))
    .sort()
    .map((name) => join(directory, name));
}

/** Closes segments whose writer is dead; half a last line, which kill -9 leaves, is cut off. */
export async function closeOrphans(directory: string): Promise<void> {
  const names = await readdir(directory).catch(() => []);
  for (const name of names.filter((candidate) => candidate.endsWith(openSuffix))) {
    const path = join(directory, name);
    if (!(await isOrphan(path, name))) continue;
    const kept = await cutTornLine(path);
    if (kept === 0) await rm(path);
    else await rename(path, join(directory, name.replace(openSuffix, ".jsonl")));
  }
}

/** A writer closes its segments within seconds, so an old one is an orphan even when its process number has a new owner. */
async function isOrphan(path: string, name: string): Promise<boolean> {
  const pid = Number(/-(\d+)\.open\.jsonl$/.exec(name)?.[1]);
  if (!Number.isInteger(pid) || !isAlive(pid)) return true;
  const entry = await stat(path).catch((error: NodeJS.ErrnoException) => {
    // Closed, and so renamed, in between.
    if (error.code !== "ENOENT") throw error;
    return undefined;
  });
  return entry !== undefined && Date.now() - entry.mtimeMs > orphanMilliseconds;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

async function cutTornLine(path: string): Promise<number> {
  const handle = await open(path, "r+");
  try {
    const { size } = await handle.stat();
    const chunk = Buffer.alloc(64 * 1024);
    for (let end = size; end > 0; ) {
      const start = Math.max(0, end - chunk.length);
      const { bytesRead } = await handle.read(chunk, 0, end - start, start);
      const newline = chunk.lastIndexOf(0x0a, bytesRead - 1);
      if (newline !== -1) {
        const kept = start + newline + 1;
        if (kept < size) await handle.truncate(kept);
        return kept;
      }
      end = start;
    }
    return 0;
  } finally {
    await handle.close();
  }
}

/** Absent when the first line is no header. */
export async function readHeader(path: string): Promise<CaptureHeader | undefined> {
  const handle = await open(path, "r");
  try {
    for await (const line of handle.readLines({ autoClose: false })) {
      try {
        const parsed = captureHeaderSchema.safeParse(JSON.parse(line));
        return parsed.success ? parsed.data : undefined;
      } catch {
        return undefined;
      }
    }
    return undefined;
  } finally {
    await handle.close();
  }
}
