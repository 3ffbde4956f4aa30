import { promisify } from "node:util";
import { gunzip, inflate } from "node:zlib";
import { EspalierError } from "@espalier/core";
import { badRequest } from "../http/request-error.ts";

/** gRPC puts five bytes before every message: whether it is compressed, and its length. */
const prefixBytes = 5;
const decompressors = { gzip: promisify(gunzip), deflate: promisify(inflate) };
/** What `grpc-accept-encoding` says. */
export const acceptedEncodings = "identity,deflate,gzip";

export interface Frame {
  compressed: boolean;
  bytes: Buffer;
}

/** Cuts what arrives into messages. Errors: TOO_LARGE as soon as a message announces more than the limit. */
export function createFrameReader(limitBytes: number): { push(chunk: Buffer): Frame[]; isBetweenFrames(): boolean } {
  let chunks: Buffer[] = [];
  let size = 0;
  const joined = (): Buffer => {
    const whole = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size);
    chunks = [whole];
    return whole;
  };
  let wanted = prefixBytes;
  return {
    isBetweenFrames: () => size === 0,
    push(chunk) {
      chunks.push(chunk);
      size += chunk.length;
      const frames: Frame[] = [];
      while (size >= wanted) {
        const whole = joined();
        const length = whole.readUInt32BE(1);
        if (length > limitBytes) throw tooLarge(length, limitBytes);
        wanted = prefixBytes + length;
        if (size < wanted) break;
        frames.push({ compressed: whole[0] === 1, bytes: whole.subarray(prefixBytes, wanted) });
        size -= wanted;
        chunks = size === 0 ? [] : [whole.subarray(wanted)];
        wanted = prefixBytes;
      }
      return frames;
    },
  };
}

function tooLarge(length: number, limitBytes: number): EspalierError {
  return new EspalierError("TOO_LARGE", `The message has ${length} bytes, this server takes ${limitBytes}`, {
    hint: "Send fewer rows in one request, or start the server with a larger --body-limit-bytes.",
  });
}

/** A message's own bytes. Errors: INVALID_INPUT, UNSUPPORTED, TOO_LARGE for what unpacks to more than the limit. */
export async function unpack(frame: Frame, encoding: string | undefined, limitBytes: number): Promise<Buffer> {
  if (!frame.compressed) return frame.bytes;
  const decompress = decompressors[encoding as keyof typeof decompressors];
  if (decompress === undefined) {
    throw new EspalierError(
      "UNSUPPORTED",
      `grpc-encoding "${encoding ?? "identity"}" is not known; send ${acceptedEncodings}`,
    );
  }
  try {
    return await decompress(frame.bytes, { maxOutputLength: limitBytes });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(limitBytes + 1, limitBytes);
    if (code.startsWith("Z_")) throw badRequest(`The message is not ${encoding} data: ${code}`);
    throw error;
  }
}

export function framed(message: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(prefixBytes + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  message.copy(frame, prefixBytes);
  return frame;
}

const unitMilliseconds: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** Milliseconds of a `grpc-timeout` header; undefined without one. Errors: INVALID_INPUT. */
export function timeoutMilliseconds(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const parts = /^(\d{1,8})([HMSmun])$/.exec(header);
  if (parts === null) throw badRequest(`grpc-timeout "${header}" is not up to 8 digits and one of H, M, S, m, u, n`);
  return Number(parts[1]) * (unitMilliseconds[parts[2] as string] as number);
}
