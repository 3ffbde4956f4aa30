import { Readable } from "node:stream";
import { isEspalierError } from "@espalier/core";
import type { FastifyReply, FastifyRequest } from "fastify";
import { mlflowError } from "../mlflow-error.ts";
import { contentTypeOf } from "./content-types.ts";
import type { FoundFile } from "./folders.ts";
import { readRange } from "./ranges.ts";

/** Always something to save, never a page of ours, whatever the bytes say. */
export async function sendFile(request: FastifyRequest, reply: FastifyReply, file: FoundFile): Promise<FastifyReply> {
  const { range, "if-range": ifRange } = request.headers;
  const etag = file.sha256 === undefined ? undefined : `"${file.sha256}"`;
  const isSame = ifRange === undefined || ifRange === etag;
  const part = range === undefined || !isSame ? undefined : readRange(range, file.size);
  reply
    .type(contentTypeOf(file.path))
    .header("x-content-type-options", "nosniff")
    .header("content-security-policy", "default-src 'none'; sandbox")
    .header("content-disposition", `attachment; filename*=UTF-8''${encodeName(file.path)}`)
    .header("accept-ranges", "bytes");
  if (etag !== undefined) reply.header("etag", etag);
  if (part === "unsatisfiable") {
    return reply.status(416).header("content-range", `bytes */${file.size}`).header("content-length", 0).send("");
  }
  const { start, end } = part ?? { start: 0, end: file.size };
  if (part !== undefined) reply.status(206).header("content-range", `bytes ${start}-${end - 1}/${file.size}`);
  const body = await readable(() => file.open(part));
  reply.header("content-length", end - start);
  return reply.send(Readable.from(body, { objectMode: false, highWaterMark: 1024 * 1024 }));
}

/** What is damaged is gone as far as a client is concerned: an answer of 5xx would make it ask again for minutes. */
export async function readable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!isEspalierError(cause) || cause.code !== "CORRUPTED") throw cause;
    throw mlflowError("RESOURCE_DOES_NOT_EXIST", cause.message, { cause });
  }
}

/** RFC 8187: of what encodeURIComponent leaves, these have a meaning in a header. */
function encodeName(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return encodeURIComponent(name).replaceAll(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
