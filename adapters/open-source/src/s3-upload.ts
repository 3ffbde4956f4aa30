import { type ByteStream, EspalierError, type PutOptions } from "@espalier/core";
import type { S3Api, S3Key, S3Part } from "./s3-api.ts";

/** Parts that are under way at once; with their size this bounds memory. */
const concurrency = 3;
/** S3 allows 10,000. */
const mostParts = 9_000;

/** Uploads in parts; nothing is visible before the last request, and a failure removes the parts that are up. */
export async function uploadParts(
  s3: S3Api,
  address: S3Key,
  body: ByteStream,
  options: PutOptions & { partBytes: number; condition: { IfNoneMatch?: string } },
): Promise<void> {
  const call = options.signal ? { abortSignal: options.signal } : {};
  const { UploadId } = await s3.createMultipartUpload(address, call);
  if (UploadId === undefined) throw new EspalierError("UNAVAILABLE", `S3 gave no upload id for ${address.Key}`);
  const upload = { ...address, UploadId };
  const parts: S3Part[] = [];
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  const send = async (PartNumber: number, Body: Uint8Array): Promise<void> => {
    const { ETag } = await s3.uploadPart({ ...upload, PartNumber, Body, ContentLength: Body.byteLength }, call);
    parts.push({ PartNumber, ETag: ETag ?? "" });
  };
  try {
    let number = 0;
    for await (const part of partsOf(
      body,
      Math.max(options.partBytes, Math.ceil(options.size / mostParts)),
      options,
      address,
    )) {
      if (failures.length > 0) break;
      number += 1;
      const sending: Promise<void> = send(number, part)
        .catch((error: unknown) => void failures.push(error))
        .finally(() => running.delete(sending));
      running.add(sending);
      if (running.size >= concurrency) await Promise.race(running);
    }
    await Promise.all(running);
    if (failures.length > 0) throw failures[0];
    parts.sort((a, b) => a.PartNumber - b.PartNumber);
    await s3.completeMultipartUpload({ ...upload, ...options.condition, MultipartUpload: { Parts: parts } }, call);
  } catch (error) {
    await Promise.all(running);
    // Whatever went wrong first is what the caller must hear; parts that stay are removed by the bucket's lifecycle rule.
    await s3.abortMultipartUpload(upload).catch(() => undefined);
    throw error;
  }
}

async function* partsOf(
  body: ByteStream,
  partBytes: number,
  options: PutOptions,
  address: S3Key,
): AsyncGenerator<Uint8Array> {
  let chunks: Uint8Array[] = [];
  let held = 0;
  let size = 0;
  for await (const chunk of body) {
    if (options.signal?.aborted) {
      throw new EspalierError("CANCELLED", "The transfer was cancelled", { cause: options.signal.reason });
    }
    size += chunk.byteLength;
    if (size > options.size) throw wrongSize(address, options.size, "more");
    chunks.push(chunk);
    held += chunk.byteLength;
    while (held >= partBytes) {
      const all = Buffer.concat(chunks);
      yield all.subarray(0, partBytes);
      const rest = all.subarray(partBytes);
      chunks = rest.byteLength > 0 ? [rest] : [];
      held = rest.byteLength;
    }
  }
  if (size !== options.size) throw wrongSize(address, options.size, size);
  if (held > 0) yield Buffer.concat(chunks);
}

const wrongSize = (address: S3Key, promised: number, found: number | "more"): EspalierError =>
  new EspalierError("INVALID_INPUT", `${address.Key} was announced with ${promised} bytes but has ${found}`);
