import { mkdirSync } from "node:fs";
import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { EspalierError, toEspalierError } from "@espalier/core";
import { createSparseLog, log } from "../log.ts";

export interface LineFilesOptions {
  directory: string;
  /** First line of every file, without its newline. */
  header?: string;
  /** Full paths of the next file: while it is written, and once it is closed. */
  nextFile(): { openPath: string; closedPath: string };
  /** A file is closed at this size, or this long after its first line. */
  maxFileBytes: number;
  maxFileSeconds: number;
  /** Lines that may wait in memory for the disk; further ones are dropped and counted. */
  maxBufferBytes: number;
  /** Creates a file that only grows; that of the operating system when absent. */
  openFile?(path: string): Promise<FileHandle>;
}

/** Lines appended to files that are closed by rename, so that a reader of closed files never sees half of one. */
export interface LineFiles {
  /** Never waits and never throws. `rows`: what the line counts for. */
  add(text: string, rows: number): void;
  /** Everything added so far lies in closed files. Errors: those of the disk, TIMEOUT when it does not answer. */
  flush(): Promise<void>;
  /** As `flush`, but what the disk does not take in time is given up, counted and logged. */
  close(): Promise<void>;
  counts(): CaptureCounts;
}

/** Rows since the process began. */
export interface CaptureCounts {
  captured: number;
  dropped: number;
}

interface OpenFile {
  handle: FileHandle;
  openPath: string;
  closedPath: string;
  bytes: number;
  openedAt: number;
}

const flushMilliseconds = 200;
/** A disk that does not answer for so long must not hold up the end of the process. */
const patienceMilliseconds = 5_000;

export function createLineFiles(options: LineFilesOptions): LineFiles {
  const { openFile = createFile } = options;
  const warn = createSparseLog();
  mkdirSync(options.directory, { recursive: true });
  let buffer: string[] = [];
  let bufferBytes = 0;
  let bufferRows = 0;
  /** On their way to the disk, and still in memory. */
  let writingRows = 0;
  let writingBytes = 0;
  let captured = 0;
  let dropped = 0;
  let file: OpenFile | undefined;
  let timer: NodeJS.Timeout | undefined;
  let work: Promise<void> = Promise.resolve();
  let isWriting = false;

  function enqueue(closeFile: boolean): Promise<void> {
    const result = work.then(() => write(closeFile));
    work = result.catch((error: unknown) => {
      warn(`capture: ${toEspalierError(error).message}`, { directory: options.directory, droppedRows: dropped });
    });
    return result;
  }

  async function write(closeFile: boolean): Promise<void> {
    const text = buffer.join("");
    writingRows = bufferRows;
    writingBytes = bufferBytes;
    buffer = [];
    bufferBytes = 0;
    bufferRows = 0;
    isWriting = true;
    try {
      if (text !== "") {
        file ??= await nextFile();
        await append(file, text);
        captured += writingRows;
      }
    } catch (error) {
      dropped += writingRows;
      throw error;
    } finally {
      writingRows = 0;
      writingBytes = 0;
      isWriting = false;
      await closeWhenDue(closeFile);
    }
  }

  async function nextFile(): Promise<OpenFile> {
    const paths = options.nextFile();
    await mkdir(dirname(paths.openPath), { recursive: true });
    const opened = { ...paths, handle: await openFile(paths.openPath), bytes: 0, openedAt: Date.now() };
    try {
      if (options.header !== undefined) await append(opened, `${options.header}\n`);
    } catch (error) {
      await opened.handle.close();
      await rm(opened.openPath, { force: true });
      throw error;
    }
    return opened;
  }

  async function closeWhenDue(force: boolean): Promise<void> {
    if (file === undefined) return;
    const old = Date.now() - file.openedAt >= options.maxFileSeconds * 1000;
    if (!force && !old && file.bytes < options.maxFileBytes) {
      schedule();
      return;
    }
    const closing = file;
    file = undefined;
    await closing.handle.close();
    await rename(closing.openPath, closing.closedPath);
  }

  function schedule(): void {
    timer ??= setTimeout(() => {
      timer = undefined;
      // While one write stalls, another would only wait behind it.
      if (isWriting) schedule();
      else void enqueue(false).catch(() => undefined);
    }, flushMilliseconds).unref();
  }

  async function flush(): Promise<void> {
    const late = delay(patienceMilliseconds, "late" as const, { ref: false });
    if ((await Promise.race([enqueue(true), late])) !== "late") return;
    throw new EspalierError("TIMEOUT", `The disk did not take captured lines within ${patienceMilliseconds / 1000} s`, {
      at: options.directory,
    });
  }

  return {
    add(text, rows) {
      const bytes = text.length + 1;
      if (writingBytes + bufferBytes + bytes > options.maxBufferBytes) {
        dropped += rows;
        return;
      }
      buffer.push(text, "\n");
      bufferBytes += bytes;
      bufferRows += rows;
      schedule();
    },
    flush,
    async close() {
      clearTimeout(timer);
      try {
        await flush();
      } catch (error) {
        const lost = bufferRows + writingRows;
        dropped += lost;
        log("error", `capture: closed without ${lost} rows: ${toEspalierError(error).message}`, {
          directory: options.directory,
        });
      }
    },
    counts: () => ({ captured, dropped }),
  };
}

/** Only grows: after a write that failed and was cut off, the next one goes where the file ends. */
function createFile(path: string): Promise<FileHandle> {
  return open(path, "ax");
}

/** All of the text or nothing: a full disk leaves half a line, and what follows must not be joined to it. */
async function append(target: OpenFile, text: string): Promise<void> {
  const bytes = Buffer.from(text);
  let written = 0;
  try {
    while (written < bytes.length) {
      const { bytesWritten } = await target.handle.write(bytes, written, bytes.length - written);
      written += bytesWritten;
    }
  } catch (error) {
    if (written > 0) await target.handle.truncate(target.bytes);
    throw error;
  }
  target.bytes += bytes.length;
}
