/** A stream of bytes; chunks of any size, each of them unchanged once it is handed out. */
export type ByteStream = AsyncIterable<Uint8Array>;

export interface CallContext {
  signal?: AbortSignal;
}

export interface PutOptions extends CallContext {
  /** Bytes; a body of another length fails with INVALID_INPUT and leaves nothing behind. */
  size: number;
  /** Write only when the key is absent; an existing key is then success, its bytes untouched (content addressing makes them equal). */
  ifAbsent?: boolean;
  /**
   * Absolute path of a file on this machine with exactly the bytes of `body`, which its owner removes afterwards and never writes again. A
   * store on the same disk may link it instead of copying `body`; every other store takes no notice.
   */
  localCopy?: string;
}

export interface GetOptions extends CallContext {
  /** Bytes, `end` exclusive. */
  range?: { start: number; end: number };
}

/**
 * Milestone 1, version data: keys in, bytes out. Keys are relative POSIX paths of [A-Za-z0-9._/-] without `.` or `..` segments,
 * at most 512 bytes. Hashing, packing, verification and deduplication are the trunk's (`artifacts.ts`), never a store's.
 *
 * Errors: NOT_FOUND (get), DISK_FULL, UNAVAILABLE, UNREACHABLE, PERMISSION_DENIED, INVALID_INPUT (bad key or size).
 * Idempotence: every method may be repeated.
 */
export interface ArtifactStore {
  /** Atomic: afterwards either the whole object is there or nothing. */
  put(key: string, body: ByteStream, options: PutOptions): Promise<void>;
  get(key: string, options?: GetOptions): Promise<ByteStream>;
  head(key: string, context?: CallContext): Promise<{ size: number } | undefined>;
  /** Deleting what is not there is success. */
  delete(key: string, context?: CallContext): Promise<void>;
  /** Keys in UTF-8 order, at most 1,000 a page; `next` goes back in as `cursor`. */
  list(prefix: string, cursor?: string, context?: CallContext): Promise<{ keys: string[]; next?: string }>;
  /**
   * Absent: the control plane signs URLs of its own. `checksum` is the hexadecimal SHA-256 of the only body that a PUT may have; the
   * uploader sends it, in base64, as the header `x-amz-checksum-sha256`.
   */
  presign?(key: string, method: "GET" | "PUT", options: { expiresSeconds: number; checksum?: string }): Promise<string>;
}
