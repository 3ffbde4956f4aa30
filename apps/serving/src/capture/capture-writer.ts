import { mkdirSync } from "node:fs";
import { type FileHandle, open, rename } from "node:fs/promises";
import { join } from "node:path";
import { type CaptureHeader, type CaptureLine, ulid } from "@espalier/core";

export interface CaptureOptions {
  directory: string;
  header: CaptureHeader;
  /** A segment is closed at this size, or this long after its first line. */
  maxSegmentBytes: number;
  maxSegmentSeconds: number;
  /** Lines that may wait in memory for the disk; further ones are dropped and counted. */
  maxBufferBytes: number;
}

export interface CaptureWriter {
  /** Never waits and never throws. */
  add(line: CaptureLine): void;
  /** Everything added so far lies in closed segments. Errors of the disk are thrown here. */
  flush(): Promise<void>;
  close(): Promise<void>;
  counts(): { captured: number; dropped: number };
}

interface Segment {
  handle: FileHandle;
  openPath: string;
  closedPath: string;
  bytes: number;
  openedAt: number;
}

const flushMilliseconds = 200;

/**
 * Appends lines to a segment and closes it by rename. The open name holds the process id, so that a reader can tell a segment that a
 * killed process left behind from one that is being written.
 */
export function createCaptureWriter(options: CaptureOptions): CaptureWriter {
  mkdirSync(options.directory, { recursive: true });
  const headerLine = `${JSON.stringify(options.header)}\n`;
  let buffer: string[] = [];
  let bufferBytes = 0;
  let bufferRows = 0;
  let captured = 0;
  let dropped = 0;
  let segment: Segment | undefined;
  let timer: NodeJS.Timeout | undefined;
  let work: Promise<void> = Promise.resolve();

  function enqueue(closeSegment: boolean): Promise<void> {
    const result = work.then(() => write(closeSegment));
    work = result.catch((error: unknown) => {
      console.error(
        JSON.stringify({ level: "error", message: `capture: ${error instanceof Error ? error.message : error}` }),
      );
    });
    return result;
  }

  async function write(closeSegment: boolean): Promise<void> {
    const text = buffer.join("");
    const rows = bufferRows;
    buffer = [];
    bufferBytes = 0;
    bufferRows = 0;
    try {
      if (text !== "") {
        segment ??= await openSegment();
        await append(segment, text);
        captured += rows;
      }
    } catch (error) {
      dropped += rows;
      throw error;
    } finally {
      await closeWhenDue(closeSegment);
    }
  }

  async function append(target: Segment, text: string): Promise<void> {
    const bytes = Buffer.from(text);
    try {
      await target.handle.write(bytes, 0, bytes.length, target.bytes);
      target.bytes += bytes.length;
    } catch (error) {
      // A full disk leaves half a line; what follows must not be joined to it.
      await target.handle.truncate(target.bytes);
      throw error;
    }
  }

  async function openSegment(): Promise<Segment> {
    const name = `${ulid()}-${process.pid}`;
    const openPath = join(options.directory, `${name}.open.jsonl`);
    const handle = await open(openPath, "wx");
    const opened = {
      handle,
      openPath,
      closedPath: join(options.directory, `${name}.jsonl`),
      bytes: 0,
      openedAt: Date.now(),
    };
    await append(opened, headerLine);
    return opened;
  }

  async function closeWhenDue(force: boolean): Promise<void> {
    if (segment === undefined) return;
    const old = Date.now() - segment.openedAt >= options.maxSegmentSeconds * 1000;
    if (!force && !old && segment.bytes < options.maxSegmentBytes) {
      schedule();
      return;
    }
    const closing = segment;
    segment = undefined;
    await closing.handle.close();
    await rename(closing.openPath, closing.closedPath);
  }

  function schedule(): void {
    timer ??= setTimeout(() => {
      timer = undefined;
      void enqueue(false).catch(() => undefined);
    }, flushMilliseconds);
    timer.unref();
  }

  return {
    add(line) {
      const text = `${JSON.stringify(line)}\n`;
      if (bufferBytes + text.length > options.maxBufferBytes) {
        dropped += line.rows;
        return;
      }
      buffer.push(text);
      bufferBytes += text.length;
      bufferRows += line.rows;
      schedule();
    },
    flush: () => enqueue(true),
    async close() {
      clearTimeout(timer);
      await enqueue(true);
    },
    counts: () => ({ captured, dropped }),
  };
}
