import { EspalierError } from "@espalier/core";

/**
 * Frames between the supervisor and a worker (python/model_worker.py): length of the header (u32), length of the body (u64), both
 * little-endian, the header as JSON, the body. Raw column values go into the body: text would be several times the size and the time.
 */
export interface Frame {
  header: Record<string, unknown>;
  body: Buffer;
}

const prefixBytes = 12;
/** A worker that writes nonsense must not make us wait for more than it could ever send. */
const largestHeaderBytes = 1024 ** 3;
const largestBodyBytes = 8 * 1024 ** 3;

export function encodeFrame(header: Readonly<Record<string, unknown>>, parts: readonly Uint8Array[] = []): Buffer[] {
  const text = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt32LE(text.length, 0);
  prefix.writeBigUInt64LE(BigInt(parts.reduce((sum, part) => sum + part.byteLength, 0)), 4);
  return [prefix, text, ...parts.map((part) => Buffer.from(part.buffer, part.byteOffset, part.byteLength))];
}

/** Takes the stream in whatever pieces it comes, and tells each whole frame. Errors: CORRUPTED for what can not be a frame. */
export function frameReader(onFrame: (frame: Frame) => void): (chunk: Buffer) => void {
  let chunks: Buffer[] = [];
  let size = 0;
  let wanted = prefixBytes;

  const take = (): Buffer => {
    const whole = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size);
    return whole;
  };

  return (chunk) => {
    chunks.push(chunk);
    size += chunk.length;
    while (size >= wanted) {
      const whole = take();
      chunks = [whole];
      const { headerEnd, frameEnd } = measure(whole);
      if (size < frameEnd) {
        wanted = frameEnd;
        return;
      }
      const header = parseHeader(whole.subarray(prefixBytes, headerEnd));
      const body = whole.subarray(headerEnd, frameEnd);
      chunks = size > frameEnd ? [whole.subarray(frameEnd)] : [];
      size -= frameEnd;
      wanted = prefixBytes;
      onFrame({ header, body });
    }
  };
}

function measure(whole: Buffer): { headerEnd: number; frameEnd: number } {
  const headerBytes = whole.readUInt32LE(0);
  const bodyBytes = whole.readBigUInt64LE(4);
  if (headerBytes > largestHeaderBytes || bodyBytes > BigInt(largestBodyBytes)) {
    throw new EspalierError("CORRUPTED", "The Python worker answered what is no frame");
  }
  const headerEnd = prefixBytes + headerBytes;
  return { headerEnd, frameEnd: headerEnd + Number(bodyBytes) };
}

function parseHeader(text: Buffer): Record<string, unknown> {
  try {
    return JSON.parse(text.toString("utf8"));
  } catch (cause) {
    throw new EspalierError("CORRUPTED", "The Python worker answered a header that is not JSON", { cause });
  }
}
