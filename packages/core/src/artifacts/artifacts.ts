import type { ArtifactRef } from "../artifact.ts";
import { EspalierError, isEspalierError } from "../errors.ts";
import type { ArtifactStore, ByteStream } from "../ports/artifact-store.ts";
import type { LocalFiles } from "../ports/local-files.ts";
import { blobKey } from "./keys.ts";
import { createObjects, type Objects, openBlob } from "./objects.ts";
import type { Pack } from "./packs.ts";
import { publishBytes, publishFile, publishLists, publishTree } from "./publish.ts";
import { type PutStreamOptions, publishStream } from "./publish-stream.ts";
import { findInTree, keysOfArtifact, listInTree, openInTree, readPacks, readTree, visitContents } from "./read-tree.ts";
import { collect, eachConcurrently } from "./streams.ts";
import { entryDigest, type TreeEntry } from "./tree.ts";

/**
 * Immutable content over a port of bytes: hashing, packing, deduplication and verification on read, once for all stores.
 * Publishing is atomic: what a reference names is there whole, or not at all. No artifact is ever held in memory.
 *
 * Errors of every method: those of `ArtifactStore` and `LocalFiles`; CORRUPTED names the blob, and the path inside a tree.
 */
export interface Artifacts {
  /** Idempotent. A `value` is stored as canonical JSON (INVALID_INPUT, TOO_LARGE beyond 64 KiB). CONFLICT: it changed meanwhile. */
  putFile(path: string, type: "file" | "parquet" | "value"): Promise<ArtifactRef>;
  /** Idempotent. INVALID_INPUT on a symlink that escapes, a socket, a device. `exclude` also prunes folders. */
  putTree(
    path: string,
    type: "tree" | "model",
    options?: { exclude?: (relativePath: string) => boolean },
  ): Promise<ArtifactRef>;
  putBytes(bytes: Uint8Array, type: "file" | "value"): Promise<ArtifactRef>;
  /**
   * Takes in bytes whose digest nobody knows yet: they are hashed on their way into the file `spoolPath`, which is gone afterwards whatever
   * happens. INVALID_INPUT when their length is not `size`; TOO_LARGE as soon as there are more than `maxBytes`.
   */
  putStream(body: ByteStream, options: PutStreamOptions): Promise<ArtifactRef>;
  /** Makes a tree of files whose blobs were uploaded by themselves (a remote step); NOT_FOUND names the first that is missing. */
  adoptTree(files: readonly TreeEntry[], type: "tree" | "model"): Promise<ArtifactRef>;
  /** A tree that holds other artifacts under these names, without copying a byte: a file under its name, a tree as a folder. */
  compose(parts: Readonly<Record<string, ArtifactRef>>, type: "tree" | "model"): Promise<ArtifactRef>;
  /**
   * The tree `base` in which whatever `over` has at its top (a file, or a folder with all that is in it) stands in place of what had that
   * name, without copying a byte.
   */
  overlay(base: ArtifactRef, over: ArtifactRef, type: "tree" | "model"): Promise<ArtifactRef>;
  /** Verified and atomic (temporary name, then rename): a file, or a folder for a tree or model. */
  materialise(ref: ArtifactRef, targetPath: string): Promise<void>;
  /**
   * Verified while it streams: damaged content throws CORRUPTED before its last bytes are handed out. `size` in bytes, of the whole file.
   * Of a `range` (bytes, `end` exclusive, within the file) nothing can be verified.
   */
  open(
    ref: ArtifactRef,
    pathInTree?: string,
    options?: { range?: { start: number; end: number } },
  ): Promise<{ size: number; body: ByteStream }>;
  /** TOO_LARGE when there are more than `maxBytes`. */
  readBytes(ref: ArtifactRef, pathInTree: string | undefined, maxBytes: number): Promise<Uint8Array>;
  /** All files of a tree or model, by path. */
  entries(ref: ArtifactRef): Promise<TreeEntry[]>;
  /**
   * What lies directly in a folder of a tree or model ("" is its root); a folder in it has a path that ends in `/`. undefined: there is no
   * such folder.
   */
  level(ref: ArtifactRef, folder: string): Promise<TreeEntry[] | undefined>;
  /** true when every blob it needs is present with its size; contents are not read. */
  exists(ref: ArtifactRef): Promise<boolean>;
  /** Hashes everything again. */
  verify(ref: ArtifactRef): Promise<void>;
}

export const isTree = (ref: ArtifactRef): boolean => ref.type === "tree" || ref.type === "model";

export function createArtifacts(store: ArtifactStore, files: LocalFiles): Artifacts {
  const objects = createObjects(store);

  const open: Artifacts["open"] = async (ref, pathInTree, { range } = {}) => {
    if (!isTree(ref)) {
      if (pathInTree !== undefined) throw noPathInFile(ref);
      const { digest, size } = ref;
      const body = range ? await objects.get(blobKey(digest), { range }) : await openBlob(objects, digest, size);
      return { size, body };
    }
    if (pathInTree === undefined) throw needsPath(ref);
    const entry = await findInTree(objects, ref.digest, pathInTree);
    return { size: entry.size, body: await openInTree(objects, ref.digest, entry, range) };
  };

  return {
    putFile: (path, type) => publishFile(objects, files, path, type),
    putTree: (path, type, options) => publishTree(objects, files, path, type, options?.exclude),
    putBytes: (bytes, type) => publishBytes(objects, bytes, type),
    putStream: (body, options) => publishStream(objects, files, body, options),
    async adoptTree(entries, type) {
      await eachConcurrently(entries, 16, async (entry) => {
        const held = await objects.head(blobKey(entryDigest(entry)));
        if (held?.size === entry.size) return;
        throw new EspalierError("NOT_FOUND", `The blob of ${JSON.stringify(entry.path)} has not been uploaded whole`, {
          details: { path: entry.path, digest: entryDigest(entry) },
        });
      });
      return publishLists(objects, entries, type, []);
    },
    async compose(parts, type) {
      const entries: TreeEntry[] = [];
      const packs = new Map<string, Pack>();
      for (const [name, part] of Object.entries(parts)) {
        if (!isTree(part)) {
          entries.push({ path: name, size: part.size, sha256: part.digest.slice(7), executable: false });
          continue;
        }
        const inside = await readTree(objects, part.digest);
        for (const entry of inside) entries.push({ ...entry, path: `${name}/${entry.path}` });
        for (const pack of await readPacks(objects, part.digest)) packs.set(pack.digest, pack);
      }
      return publishLists(objects, entries, type, [...packs.values()]);
    },
    async overlay(base, over, type) {
      const top = (entry: TreeEntry): string => entry.path.split("/")[0] ?? "";
      const fresh = await readTree(objects, over.digest);
      const replaced = new Set(fresh.map(top));
      const kept = (await readTree(objects, base.digest)).filter((entry) => !replaced.has(top(entry)));
      const entries = [...kept, ...fresh];
      const needed = new Set(entries.map((entry) => entry.sha256));
      const packs = new Map<string, Pack>();
      for (const ref of [base, over]) {
        for (const pack of await readPacks(objects, ref.digest)) {
          // A pack of replaced files alone would never be collected.
          if (pack.members.some((member) => needed.has(member.sha256))) packs.set(pack.digest, pack);
        }
      }
      return publishLists(objects, entries, type, [...packs.values()]);
    },
    open,
    async materialise(ref, targetPath) {
      if (!isTree(ref)) return files.writeFile(targetPath, (await open(ref)).body);
      const entries = await readTree(objects, ref.digest);
      await files.writeFolder(targetPath, (write) =>
        visitContents(objects, ref.digest, entries, (entry, body) =>
          write(entry.path, body, { executable: entry.executable }),
        ),
      );
    },
    async readBytes(ref, pathInTree, maxBytes) {
      const { size, body } = await open(ref, pathInTree);
      if (size > maxBytes) {
        throw new EspalierError("TOO_LARGE", `${ref.digest} has ${size} bytes, more than ${maxBytes}`, {
          details: { digest: ref.digest, size, maxBytes },
        });
      }
      return collect(body, maxBytes, ref.digest);
    },
    async entries(ref) {
      if (!isTree(ref)) throw noPathInFile(ref);
      return readTree(objects, ref.digest);
    },
    async level(ref, folder) {
      if (!isTree(ref)) throw noPathInFile(ref);
      return listInTree(objects, ref.digest, folder);
    },
    exists: (ref) => existsWhole(objects, ref),
    async verify(ref) {
      if (!isTree(ref)) return drain((await open(ref)).body);
      const entries = await readTree(objects, ref.digest);
      await visitContents(objects, ref.digest, entries, (_entry, body) => drain(body));
    },
  };
}

async function existsWhole(objects: Objects, ref: ArtifactRef): Promise<boolean> {
  let whole = true;
  try {
    await eachConcurrently(await keysOfArtifact(objects, ref), 16, async ([key, size]) => {
      const held = whole ? await objects.head(key) : undefined;
      if (!held || (size !== undefined && held.size !== size)) whole = false;
    });
  } catch (error) {
    if (isEspalierError(error) && error.code === "NOT_FOUND") return false;
    throw error;
  }
  return whole;
}

async function drain(body: ByteStream): Promise<void> {
  for await (const _chunk of body);
}

const noPathInFile = (ref: ArtifactRef): EspalierError =>
  new EspalierError("INVALID_INPUT", `The artifact ${ref.digest} is a ${ref.type}: it has no files inside`, {
    details: { digest: ref.digest, type: ref.type },
  });

const needsPath = (ref: ArtifactRef): EspalierError =>
  new EspalierError("INVALID_INPUT", `The artifact ${ref.digest} is a ${ref.type}: say which file of it`, {
    details: { digest: ref.digest, type: ref.type },
  });
