import { type FileHandle, open, readdir, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import type { ByteStream } from "@espalier/core";
import { fromDiskError, hasSystemCode } from "./disk-errors.ts";

const readChunkBytes = 1024 * 1024;
const oneDayMilliseconds = 24 * 60 * 60 * 1000;

/** Names the process, so that what a killed one left behind can be told from what a living one still writes. */
let counter = 0;
export function temporaryName(): string {
  counter += 1;
  return `.espalier-tmp~${hostname().replaceAll("~", "-")}~${process.pid}~${counter}~${Date.now().toString(36)}`;
}

/** Removes temporary files and folders of processes that are gone (on this machine) or that are older than a day (elsewhere). */
export async function removeStaleTemporaries(folder: string): Promise<void> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if (hasSystemCode(error, "ENOENT")) return;
    throw fromDiskError(error, folder);
  }
  for (const name of names) {
    const [prefix, host, processId] = name.split("~");
    if (prefix !== ".espalier-tmp") continue;
    const path = join(folder, name);
    const stale = host === hostname().replaceAll("~", "-") ? !isAlive(Number(processId)) : await isOld(path);
    if (stale) await rm(path, { recursive: true, force: true });
  }
}

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return !hasSystemCode(error, "ESRCH");
  }
}

async function isOld(path: string): Promise<boolean> {
  try {
    return Date.now() - (await stat(path)).mtimeMs > oneDayMilliseconds;
  } catch (error) {
    if (hasSystemCode(error, "ENOENT")) return false;
    throw error;
  }
}

/** Reads in chunks of 1 MiB: fewer trips than a Node stream's 64 KiB, each chunk its own buffer. */
export async function* readChunks(path: string, range?: { start: number; end: number }): ByteStream {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, "r");
    yield* chunksOfHandle(handle, range, (await handle.stat()).size);
  } catch (error) {
    throw fromDiskError(error, path);
  } finally {
    await handle?.close();
  }
}

/** While one chunk is hashed or written, the next is being read. */
async function* chunksOfHandle(
  handle: FileHandle,
  range: { start: number; end: number } | undefined,
  size: number,
): ByteStream {
  const end = range?.end ?? Number.POSITIVE_INFINITY;
  const readAt = (position: number): { wanted: number; done: Promise<Buffer> } => {
    // One byte more than what is left shows the end of the file without a second read.
    const wanted = Math.min(readChunkBytes, end - position, Math.max(size - position, 0) + 1);
    const buffer = Buffer.allocUnsafe(wanted);
    const done = handle.read(buffer, 0, wanted, position).then(({ bytesRead }) => buffer.subarray(0, bytesRead));
    // A reader that stops early never looks at the read ahead.
    done.catch(() => undefined);
    return { wanted, done };
  };
  let position = range?.start ?? 0;
  if (position >= end) return;
  for (let reading = readAt(position); ; ) {
    const { wanted, done } = reading;
    const chunk = await done;
    position += chunk.byteLength;
    const isLast = chunk.byteLength === 0 || position >= end || (chunk.byteLength < wanted && position >= size);
    if (!isLast) reading = readAt(position);
    if (chunk.byteLength > 0) yield chunk;
    if (isLast) return;
  }
}

/** Writes everything to a new file; returns how many bytes there were. The caller removes the file when this throws. */
export async function writeNewFile(
  path: string,
  body: ByteStream,
  options: { mode: number; sync?: boolean; maxBytes?: number },
): Promise<number> {
  const handle = await open(path, "wx", options.mode);
  let size = 0;
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  // Some chunks are written while the next are made.
  let writing: Promise<void> = Promise.resolve();
  const flush = async (): Promise<void> => {
    await writing;
    writing = writeWhole(handle, held, heldBytes);
    // When the body breaks first, its error is the one to tell.
    writing.catch(() => undefined);
    held = [];
    heldBytes = 0;
  };
  try {
    for await (const chunk of body) {
      size += chunk.byteLength;
      if (options.maxBytes !== undefined && size > options.maxBytes) return size;
      held.push(chunk);
      heldBytes += chunk.byteLength;
      if (heldBytes >= writtenAtOnceBytes || held.length >= writtenAtOnceChunks) await flush();
    }
    await flush();
    await writing;
    if (options.sync) await handle.datasync();
  } finally {
    await handle.close();
  }
  return size;
}

/** A socket gives 64 KiB at a time, and a trip to the disk for each costs more than the writing. */
const writtenAtOnceBytes = 256 * 1024;
const writtenAtOnceChunks = 512;

/** A write near a full disk may be short without being an error. */
async function writeWhole(handle: FileHandle, chunks: readonly Uint8Array[], bytes: number): Promise<void> {
  let written = chunks.length > 1 ? (await handle.writev(chunks)).bytesWritten : 0;
  if (written === bytes) return;
  for (const chunk of chunks) {
    const skipped = Math.min(written, chunk.byteLength);
    written -= skipped;
    for (let done = skipped; done < chunk.byteLength; ) {
      done += (await handle.write(chunk, done, chunk.byteLength - done)).bytesWritten;
    }
  }
}
