import { type Digest, digestOfBytes } from "../canonical-json.ts";
import { EspalierError, isEspalierError } from "../errors.ts";
import type { ArtifactStore, ByteStream, GetOptions } from "../ports/artifact-store.ts";
import { blobKey, quarantineKey } from "./keys.ts";
import { collect, streamOf, verified } from "./streams.ts";

/** Lists and indexes are read whole; this bounds them (about a million files in one folder). */
const largestListBytes = 256 * 1024 * 1024;

/**
 * Reads and writes objects of a store by digest. What `gc` has put into quarantine comes back on the first look, so that a sweep can
 * never break a publication that was under way: it has seven days to be noticed.
 */
export interface Objects {
  /** Size in bytes, undefined when absent. Brings back what is in quarantine. */
  head(key: string): Promise<{ size: number } | undefined>;
  get(key: string, options?: GetOptions): Promise<ByteStream>;
  /** A small object that hashes to its name, whole. */
  readBlob(digest: Digest): Promise<Uint8Array>;
  /** Writes unless an object of this size is there already; one of another size is damaged and replaced. */
  put(key: string, size: number, open: () => ByteStream, localCopy?: string): Promise<void>;
  putBytes(key: string, bytes: Uint8Array): Promise<void>;
}

export function createObjects(store: ArtifactStore): Objects {
  async function restore(key: string): Promise<{ size: number } | undefined> {
    const held = await store.head(quarantineKey(key));
    if (held) await moveObject(store, quarantineKey(key), key);
    return held;
  }
  const head = async (key: string): Promise<{ size: number } | undefined> => (await store.head(key)) ?? restore(key);

  async function get(key: string, options?: GetOptions): Promise<ByteStream> {
    try {
      return await store.get(key, options);
    } catch (error) {
      if (!isEspalierError(error) || error.code !== "NOT_FOUND") throw error;
      if (await restore(key)) return store.get(key, options);
      throw new EspalierError("NOT_FOUND", `The store has no ${key}`, {
        cause: error,
        details: { key },
        hint: "Run the step that made it again with --force; `espalier doctor` lists everything that is missing.",
      });
    }
  }

  return {
    head,
    get,
    async readBlob(digest) {
      const bytes = await collect(await get(blobKey(digest)), largestListBytes, `The list ${digest}`);
      const found = digestOfBytes(bytes);
      if (found !== digest) throw damagedBlob(blobKey(digest), digest, found);
      return bytes;
    },
    async put(key, size, open, localCopy) {
      const existing = await store.head(key);
      if (existing?.size === size) return;
      const options = { size, ifAbsent: existing === undefined };
      await store.put(key, open(), localCopy === undefined ? options : { ...options, localCopy });
    },
    async putBytes(key, bytes) {
      const existing = await store.head(key);
      if (existing?.size === bytes.byteLength) return;
      await store.put(key, streamOf(bytes), { size: bytes.byteLength, ifAbsent: existing === undefined });
    },
  };
}

/** Copies, then deletes: cut off in between, both are there. What is gone already is success. */
export async function moveObject(store: ArtifactStore, from: string, to: string): Promise<void> {
  const held = await store.head(from);
  if (!held) return;
  await store.put(to, await store.get(from), { size: held.size });
  await store.delete(from);
}

/** `where` is the key in the store, `path` the file inside a tree when there is one. */
export function damagedBlob(where: string, digest: Digest, found: string, path?: string): EspalierError {
  const file = path === undefined ? "" : ` (file ${JSON.stringify(path)})`;
  return new EspalierError("CORRUPTED", `Stored blob ${digest}${file} is damaged: it has ${found}`, {
    at: where,
    details: { digest, found, key: where, ...(path === undefined ? {} : { path }) },
    hint: "`espalier doctor --repair` moves damaged blobs away; then run the step that made it again with --force.",
  });
}

export function openBlob(objects: Objects, digest: Digest, size: number, path?: string): Promise<ByteStream> {
  const key = blobKey(digest);
  return objects
    .get(key)
    .then((body) => verified(body, { digest, size }, (found) => damagedBlob(key, digest, found, path)));
}
