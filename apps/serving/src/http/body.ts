import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { promisify } from "node:util";
import { gunzip, inflate, type ZlibOptions } from "node:zlib";
import { EspalierError, parseLongJson } from "@espalier/core";
import { badRequest } from "./request-error.ts";

function tooLarge(limitBytes: number): EspalierError {
  return new EspalierError("TOO_LARGE", `The request's body is larger than ${limitBytes} bytes`, {
    hint: "Send fewer rows in one request, or start the server with a larger --body-limit-bytes.",
  });
}

const decompress: Readonly<Record<string, (body: Buffer, options: ZlibOptions) => Promise<Buffer>>> = {
  gzip: promisify<Buffer, ZlibOptions, Buffer>(gunzip),
  deflate: promisify<Buffer, ZlibOptions, Buffer>(inflate),
};

/**
 * The whole body, decompressed where its Content-Encoding says gzip or deflate; the limit counts for both forms. Errors: TOO_LARGE,
 * INVALID_INPUT when the caller breaks off, or for another encoding.
 */
export async function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const encoding = request.headers["content-encoding"];
  if (encoding === undefined || encoding === "identity") return receiveBody(request, limitBytes);
  const decode = decompress[encoding.toLowerCase()];
  if (decode === undefined) {
    request.resume();
    throw badRequest(`The Content-Encoding "${encoding.slice(0, 40)}" is not known, only gzip and deflate`);
  }
  const body = await receiveBody(request, limitBytes);
  try {
    return await decode(body, { maxOutputLength: limitBytes });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(limitBytes);
    throw badRequest(`The body is not ${encoding}: ${error instanceof Error ? error.message : error}`);
  }
}

/** So many bytes of a body that is too large are read and thrown away before it is refused. */
const patienceBytes = 256 * 1024 * 1024;

/**
 * The whole body as it came. Errors: TOO_LARGE, INVALID_INPUT when the caller breaks off. What is too large is read to its end where that is
 * not too far, because a caller whose connection is closed while it sends never sees the answer; the server's request timeout bounds the time.
 */
export function receiveBody(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const announced = Number(request.headers["content-length"] ?? 0);
  if (announced > limitBytes + patienceBytes) {
    request.resume();
    return Promise.reject(tooLarge(limitBytes));
  }
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limitBytes) {
        chunks.push(chunk);
        return;
      }
      chunks.length = 0;
      if (size > limitBytes + patienceBytes) reject(tooLarge(limitBytes));
    });
    request.on("end", () => {
      if (size > limitBytes) reject(tooLarge(limitBytes));
      else resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size));
    });
    request.on("error", () => reject(badRequest("The request broke off before its body was complete")));
  });
}

/**
 * JSON with 64-bit integers exact: above 53 bits they are bigint. Errors: INVALID_INPUT. JSON has neither NaN nor Infinity, which is the
 * commonest fault of Python callers, so the message says so.
 */
export function parseJson(body: Buffer): unknown {
  if (body.length === 0) throw badRequest("The request has no body");
  if (!isUtf8(body)) throw badRequest("The body is not UTF-8 text");
  const text = body.toString("utf8");
  try {
    return parseLongJson(text);
  } catch (error) {
    if (error instanceof RangeError) throw badRequest("The body is nested too deeply");
    const reason = error instanceof Error ? error.message : String(error);
    const bare = /[[,:]\s*-?(NaN|Infinity)\b/.test(text.slice(0, 1_000_000));
    throw badRequest(
      bare
        ? "The body is not JSON: it holds a bare NaN or Infinity; send null instead"
        : `The body is not JSON: ${reason}`,
    );
  }
}
