import type { ArtifactRef } from "../artifact.ts";
import type { Digest } from "../canonical-json.ts";
import { EspalierError } from "../errors.ts";
import type { ByteStream } from "../ports/artifact-store.ts";
import { blobKey, layoutKey, packKey } from "./keys.ts";
import { damagedBlob, type Objects, openBlob } from "./objects.ts";
import { type Pack, type PackMember, parseLayout, parsePackIndex } from "./packs.ts";
import { collect, eachConcurrently, verified } from "./streams.ts";
import { entryDigest, isFolder, parseTreeList, type TreeEntry } from "./tree.ts";

const largestLayoutBytes = 64 * 1024 * 1024;
const concurrency = 8;

/** All files of a tree with their whole paths, in order of path, and every list read on the way. */
export async function readTree(
  objects: Objects,
  digest: Digest,
  onList?: (digest: Digest, size: number) => void,
): Promise<TreeEntry[]> {
  const files: TreeEntry[] = [];
  async function enter(list: Digest, prefix: string): Promise<void> {
    const bytes = await objects.readBlob(list);
    onList?.(list, bytes.byteLength);
    for (const entry of parseTreeList(bytes, list)) {
      const path = `${prefix}${entry.path}`;
      if (isFolder(entry)) await enter(entryDigest(entry), path);
      else files.push({ ...entry, path });
    }
  }
  await enter(digest, "");
  return files;
}

/** One file of a tree, reading only the lists on its path. */
export async function findInTree(objects: Objects, digest: Digest, path: string): Promise<TreeEntry> {
  const segments = path.split("/");
  let list = digest;
  for (const [index, segment] of segments.entries()) {
    const isLast = index === segments.length - 1;
    const wanted = isLast ? segment : `${segment}/`;
    const entry = parseTreeList(await objects.readBlob(list), list).find((candidate) => candidate.path === wanted);
    if (!entry) break;
    if (isLast) return { ...entry, path };
    list = entryDigest(entry);
  }
  throw new EspalierError("NOT_FOUND", `The artifact ${digest} has no file ${JSON.stringify(path)}`, {
    details: { digest, path },
  });
}

/** One folder of a tree, reading only the lists on its path; undefined when there is none. */
export async function listInTree(objects: Objects, digest: Digest, folder: string): Promise<TreeEntry[] | undefined> {
  let entries = parseTreeList(await objects.readBlob(digest), digest);
  for (const segment of folder === "" ? [] : folder.split("/")) {
    const inner = entries.find((entry) => entry.path === `${segment}/`);
    if (inner === undefined) return undefined;
    const list = entryDigest(inner);
    entries = parseTreeList(await objects.readBlob(list), list);
  }
  return entries;
}

/** The packs of a tree; none when its files lie loose. */
export async function readPacks(objects: Objects, tree: Digest): Promise<Pack[]> {
  const key = layoutKey(tree);
  if (!(await objects.head(key))) return [];
  const digests = parseLayout(await collect(await objects.get(key), largestLayoutBytes, `The layout ${key}`), key);
  const packs: Pack[] = [];
  for (const digest of digests) packs.push(parsePackIndex(await objects.readBlob(digest), digest));
  return packs;
}

/** Whole and verified, or a part of it. */
export async function openInTree(
  objects: Objects,
  tree: Digest,
  entry: TreeEntry,
  part?: { start: number; end: number },
): Promise<ByteStream> {
  for (const pack of await readPacks(objects, tree)) {
    const member = pack.members.find((candidate) => candidate.sha256 === entry.sha256);
    if (!member) continue;
    const key = packKey(pack.digest);
    if (part) {
      return objects.get(key, { range: { start: member.offset + part.start, end: member.offset + part.end } });
    }
    const range = { start: member.offset, end: member.offset + member.size };
    // A store may refuse an empty range.
    const body = member.size === 0 ? emptyStream() : await objects.get(key, { range });
    return verifiedMember(body, member, key, entry.path);
  }
  const digest = entryDigest(entry);
  return part ? objects.get(blobKey(digest), { range: part }) : openBlob(objects, digest, entry.size, entry.path);
}

async function* emptyStream(): ByteStream {
  yield new Uint8Array();
}

function verifiedMember(body: ByteStream, member: PackMember, key: string, path?: string): ByteStream {
  const digest: Digest = `sha256:${member.sha256}`;
  return verified(body, { digest, size: member.size }, (found) => damagedBlob(key, digest, found, path));
}

/**
 * Visits every file of a tree, verified. A pack is read in one sweep, since asking for its members one by one would cost a request
 * each.
 */
export async function visitContents(
  objects: Objects,
  tree: Digest,
  files: readonly TreeEntry[],
  visit: (entry: TreeEntry, body: ByteStream) => Promise<void>,
): Promise<void> {
  const byContent = Map.groupBy(files, (file) => file.sha256);
  for (const pack of await readPacks(objects, tree)) {
    const key = packKey(pack.digest);
    await eachConcurrently(splitPack(await objects.get(key), pack, key), concurrency, async ({ member, parts }) => {
      const entries = byContent.get(member.sha256) ?? [];
      byContent.delete(member.sha256);
      for (const entry of entries) await visit(entry, verifiedMember(chunksOf(parts), member, key, entry.path));
    });
  }
  await eachConcurrently([...byContent.values()].flat(), concurrency, async (entry) =>
    visit(entry, await openBlob(objects, entryDigest(entry), entry.size, entry.path)),
  );
}

/** Members are small (`packRules.smallFileBytes`), so each is held whole. */
async function* splitPack(
  body: ByteStream,
  pack: Pack,
  key: string,
): AsyncGenerator<{ member: PackMember; parts: readonly Uint8Array[] }> {
  const iterator = body[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array();
  try {
    for (const member of pack.members) {
      const parts: Uint8Array[] = [];
      let missing = member.size;
      while (missing > 0) {
        if (rest.byteLength === 0) {
          const next = await iterator.next();
          if (next.done) throw damagedBlob(key, `sha256:${member.sha256}`, `only ${member.size - missing} bytes`);
          rest = next.value;
        }
        const part = rest.subarray(0, missing);
        parts.push(part);
        rest = rest.subarray(part.byteLength);
        missing -= part.byteLength;
      }
      yield { member, parts };
    }
  } finally {
    await iterator.return?.();
  }
}

async function* chunksOf(parts: readonly Uint8Array[]): ByteStream {
  yield* parts;
}

/** Hashes every member of a pack. */
export async function verifyPack(objects: Objects, pack: Pack): Promise<void> {
  const key = packKey(pack.digest);
  for await (const { member, parts } of splitPack(await objects.get(key), pack, key)) {
    for await (const _chunk of verifiedMember(chunksOf(parts), member, key));
  }
}

/** Every key that an artifact needs, with its size where it is known beforehand. */
export async function keysOfArtifact(objects: Objects, ref: ArtifactRef): Promise<Map<string, number | undefined>> {
  if (ref.type !== "tree" && ref.type !== "model") return new Map([[blobKey(ref.digest), ref.size]]);
  const keys = new Map<string, number | undefined>();
  const files = await readTree(objects, ref.digest, (digest, size) => keys.set(blobKey(digest), size));
  const packed = new Set<string>();
  const packs = await readPacks(objects, ref.digest);
  for (const pack of packs) {
    keys.set(packKey(pack.digest), pack.size).set(blobKey(pack.digest), pack.index.byteLength);
    for (const member of pack.members) packed.add(member.sha256);
  }
  if (packs.length > 0) keys.set(layoutKey(ref.digest), undefined);
  for (const file of files) if (!packed.has(file.sha256)) keys.set(blobKey(entryDigest(file)), file.size);
  return keys;
}
