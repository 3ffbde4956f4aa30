import { type ArtifactStore, type ByteStream, type CallContext, EspalierError, type PutOptions } from "@espalier/core";
import type { S3Api, S3Call, S3Key } from "./s3-api.ts";
import { connectS3 } from "./s3-client.ts";
import type { S3Config } from "./s3-config.ts";
import { fromS3Error, isAlreadyThere, isConditionalConflict } from "./s3-errors.ts";
import { uploadParts } from "./s3-upload.ts";

/** Beyond this an object goes up in parts; each part is held in memory, so that it can be sent again. */
const partBytes = 16 * 1024 * 1024;
const pageKeys = 1000;
const readAttempts = 4;

/** Amazon S3 and whatever speaks its protocol. Reaches no network before the first call. */
export function createS3ArtifactStore(
  config: S3Config,
  connect: (config: S3Config) => Promise<S3Api> = connectS3,
): ArtifactStore {
  let connected: Promise<S3Api> | undefined;
  const api = (): Promise<S3Api> => {
    connected ??= connect(config).catch((error: unknown) => {
      connected = undefined;
      throw error;
    });
    return connected;
  };
  const prefix = config.prefix ?? "";
  const addressOf = (key: string): S3Key => ({ Bucket: config.bucket, Key: `${prefix}${checkedKey(key)}` });

  return {
    async put(key, body, options) {
      const address = addressOf(key);
      try {
        await write(await api(), address, body, options);
      } catch (error) {
        if (options.ifAbsent && isAlreadyThere(error)) return;
        throw fromS3Error(error, `writing ${address.Key}`);
      }
    },
    async get(key, options) {
      const address = addressOf(key);
      const reader = { s3: await api(), address, call: callOf(options) };
      const start = options?.range?.start ?? 0;
      const first = await openFrom(reader, start, options?.range?.end).catch((error: unknown) => {
        throw fromS3Error(error, `reading ${address.Key}`);
      });
      return resuming(reader, first, start, options?.range?.end);
    },
    async head(key, context) {
      const address = addressOf(key);
      try {
        const { ContentLength } = await (await api()).headObject(address, callOf(context));
        return { size: ContentLength ?? 0 };
      } catch (error) {
        const mapped = fromS3Error(error, `looking for ${address.Key}`);
        if (mapped.code === "NOT_FOUND") return undefined;
        throw mapped;
      }
    },
    async delete(key, context) {
      const address = addressOf(key);
      try {
        await (await api()).deleteObject(address, callOf(context));
      } catch (error) {
        const mapped = fromS3Error(error, `deleting ${address.Key}`);
        if (mapped.code !== "NOT_FOUND") throw mapped;
      }
    },
    async list(keyPrefix, cursor, context) {
      const request = {
        Bucket: config.bucket,
        Prefix: `${prefix}${keyPrefix}`,
        MaxKeys: pageKeys,
        ...(cursor === undefined ? {} : { StartAfter: `${prefix}${cursor}` }),
      };
      try {
        const { Contents, IsTruncated } = await (await api()).listObjectsV2(request, callOf(context));
        const keys = (Contents ?? []).flatMap(({ Key }) => (Key === undefined ? [] : [Key.slice(prefix.length)]));
        const last = keys.at(-1);
        return IsTruncated && last !== undefined ? { keys, next: last } : { keys };
      } catch (error) {
        throw fromS3Error(error, `listing ${config.bucket}/${request.Prefix}`);
      }
    },
    async presign(key, method, { expiresSeconds, checksum }) {
      const address = addressOf(key);
      const request = checksum === undefined ? address : { ...address, ChecksumSHA256: base64OfHex(checksum) };
      try {
        return await (await api()).presign(method, request, expiresSeconds);
      } catch (error) {
        throw fromS3Error(error, `signing a URL for ${address.Key}`);
      }
    },
  };
}

const base64OfHex = (hex: string): string => Buffer.from(hex, "hex").toString("base64");

const callOf = (context?: CallContext): S3Call => (context?.signal ? { abortSignal: context.signal } : {});

/** S3 itself would take nearly any key; the port does not. */
function checkedKey(key: string): string {
  const isPlain = /^[A-Za-z0-9._/-]{1,512}$/.test(key);
  if (!isPlain || key.split("/").some((segment) => segment === "" || segment === "." || segment === "..")) {
    throw new EspalierError("INVALID_INPUT", `${JSON.stringify(key)} can not be a key of an artifact store`);
  }
  return key;
}

async function write(s3: S3Api, address: S3Key, body: ByteStream, options: PutOptions): Promise<void> {
  const condition = options.ifAbsent ? { IfNoneMatch: "*" } : {};
  if (options.size > partBytes) {
    return uploadParts(s3, address, body, { ...options, partBytes, condition });
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    throwIfAborted(options.signal);
    size += chunk.byteLength;
    if (size > options.size) break;
    chunks.push(chunk);
  }
  if (size !== options.size) throw wrongSize(address.Key, options.size, size);
  const request = { ...address, ...condition, Body: Buffer.concat(chunks), ContentLength: size };
  try {
    await s3.putObject(request, callOf(options));
  } catch (error) {
    if (!isConditionalConflict(error)) throw error;
    await s3.putObject(request, callOf(options));
  }
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new EspalierError("CANCELLED", "The transfer was cancelled", { cause: signal.reason });
}

const wrongSize = (key: string, promised: number, found: number): EspalierError =>
  new EspalierError(
    "INVALID_INPUT",
    `${key} was announced with ${promised} bytes but has ${found > promised ? "more" : found}`,
  );

interface Reader {
  s3: S3Api;
  address: S3Key;
  call: S3Call;
}

interface OpenedBody {
  body: ByteStream;
  etag: string | undefined;
}

async function openFrom(reader: Reader, start: number, end?: number, etag?: string): Promise<OpenedBody> {
  const range = start === 0 && end === undefined ? {} : { Range: `bytes=${start}-${end === undefined ? "" : end - 1}` };
  const condition = etag === undefined ? {} : { IfMatch: etag };
  const { Body, ETag } = await reader.s3.getObject({ ...reader.address, ...range, ...condition }, reader.call);
  return { body: Body ?? empty(), etag: ETag };
}

async function* empty(): ByteStream {
  yield new Uint8Array();
}

/** A connection that breaks in the middle of a large object goes on where it stopped; the SDK itself repeats only whole requests. */
async function* resuming(reader: Reader, first: OpenedBody, start: number, end: number | undefined): ByteStream {
  let position = start;
  let opened = first;
  for (let attempt = 1; ; attempt += 1) {
    try {
      for await (const chunk of opened.body) {
        throwIfAborted(reader.call.abortSignal);
        position += chunk.byteLength;
        yield chunk;
      }
      return;
    } catch (error) {
      const mapped = fromS3Error(error, `reading ${reader.address.Key} at byte ${position}`);
      if (mapped.code === "CANCELLED" || attempt >= readAttempts || (end !== undefined && position >= end))
        throw mapped;
      opened = await openFrom(reader, position, end, first.etag).catch((again: unknown) => {
        throw fromS3Error(again, `reading ${reader.address.Key} at byte ${position}`);
      });
    }
  }
}
