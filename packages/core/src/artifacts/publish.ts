import type { ArtifactRef } from "../artifact.ts";
import { canonicalJson, type Digest, digestOfBytes } from "../canonical-json.ts";
import { EspalierError } from "../errors.ts";
import type { ByteStream } from "../ports/artifact-store.ts";
import type { LocalFiles } from "../ports/local-files.ts";
import { blobKey, layoutKey, packKey, sha256ToDigest } from "./keys.ts";
import type { Objects } from "./objects.ts";
import { type Pack, type PackMember, planPacks, renderLayout } from "./packs.ts";
import { collect, digestOfStream, eachConcurrently, verified } from "./streams.ts";
import { buildTree, entryDigest, type TreeEntry } from "./tree.ts";

/** Enough to keep a disk and two cores busy, and the open files few. */
const concurrency = 8;
const packConcurrency = 2;

/** A `value` output is read by `when:` and `map.over`. */
const largestValueBytes = 64 * 1024;

/** Reads a file again to store it; what has changed since it was hashed must not get the old digest. */
function unchanged(files: LocalFiles, path: string, digest: Digest, size: number): ByteStream {
  return verified(
    files.read(path),
    { digest, size },
    () =>
      new EspalierError("CONFLICT", `${path} changed while it was being published`, {
        at: path,
        hint: "Let the process that writes it finish first.",
      }),
  );
}

export async function publishFile(
  objects: Objects,
  files: LocalFiles,
  path: string,
  type: "file" | "parquet" | "value",
): Promise<ArtifactRef> {
  const found = await files.stat(path);
  if (found?.kind !== "file") {
    throw new EspalierError(
      found ? "INVALID_INPUT" : "NOT_FOUND",
      found ? `${path} is a folder, not a file` : `There is no file ${path}`,
      { at: path, hint: found ? "Declare it as `tree`, or name a file." : "Check the path." },
    );
  }
  if (type === "value") {
    const bytes = await collect(files.read(path), largestValueBytes, `The value ${path}`);
    return publishBytes(objects, bytes, type, path);
  }
  const { digest, size } = await digestOfStream(files.read(path));
  await objects.put(blobKey(digest), size, () => unchanged(files, path, digest, size));
  return { type, digest, size };
}

export async function publishBytes(
  objects: Objects,
  bytes: Uint8Array,
  type: "file" | "value",
  at?: string,
): Promise<ArtifactRef> {
  const content = type === "value" ? canonicalValue(bytes, at) : bytes;
  const digest = digestOfBytes(content);
  await objects.putBytes(blobKey(digest), content);
  return { type, digest, size: content.byteLength };
}

/** Equal values must have equal digests however they were printed. */
function canonicalValue(bytes: Uint8Array, at: string | undefined): Uint8Array {
  if (bytes.byteLength > largestValueBytes) {
    throw new EspalierError(
      "TOO_LARGE",
      `A value has at most ${largestValueBytes} bytes, this one ${bytes.byteLength}`,
      {
        ...(at === undefined ? {} : { at }),
        hint: "Declare the output as `file`.",
      },
    );
  }
  try {
    return Buffer.from(canonicalJson(JSON.parse(Buffer.from(bytes).toString("utf8"))), "utf8");
  } catch (error) {
    throw new EspalierError(
      "INVALID_INPUT",
      `A value must be JSON: ${error instanceof Error ? error.message : error}`,
      {
        cause: error,
        ...(at === undefined ? {} : { at }),
        hint: "Write one JSON document, or declare the output as `file`.",
      },
    );
  }
}

export async function publishTree(
  objects: Objects,
  files: LocalFiles,
  root: string,
  type: "tree" | "model",
  exclude?: (relativePath: string) => boolean,
): Promise<ArtifactRef> {
  const found = await files.stat(root);
  if (found?.kind !== "folder") {
    throw new EspalierError(
      found ? "INVALID_INPUT" : "NOT_FOUND",
      found ? `${root} is a file, not a folder` : `There is no folder ${root}`,
      { at: root, hint: found ? "Declare it as `file`, or name a folder." : "Check the path." },
    );
  }
  const entries: TreeEntry[] = [];
  await eachConcurrently(files.walk(root, exclude), concurrency, async (file) => {
    const { digest, size } = await digestOfStream(files.read(`${root}/${file.path}`));
    entries.push({ path: file.path, size, sha256: digest.slice(7), executable: file.executable });
  });
  // The order of the walk is chance; packs must not depend on it.
  entries.sort((a, b) => (a.path < b.path ? -1 : 1));

  const packs = planPacks(entries);
  const packed = new Set(packs.flatMap((pack) => pack.members.map((member) => member.sha256)));
  const pathOf = new Map(entries.map((entry) => [entry.sha256, `${root}/${entry.path}`]));
  const open = (sha256: string, size: number): ByteStream =>
    unchanged(files, pathOf.get(sha256) ?? root, sha256ToDigest(sha256), size);

  const loose = new Map(entries.filter((entry) => !packed.has(entry.sha256)).map((entry) => [entry.sha256, entry]));
  await eachConcurrently(loose.values(), concurrency, (entry) =>
    objects.put(blobKey(entryDigest(entry)), entry.size, () => open(entry.sha256, entry.size)),
  );
  await eachConcurrently(packs, packConcurrency, async (pack) => {
    await objects.put(packKey(pack.digest), pack.size, () => packBody(pack, open));
    await objects.putBytes(blobKey(pack.digest), pack.index);
  });
  return publishLists(objects, entries, type, packs);
}

/** Opening files one after the other would leave disk and processor waiting; members are small, so a few are read ahead. */
async function* packBody(pack: Pack, open: (sha256: string, size: number) => ByteStream): ByteStream {
  const ahead: Promise<Uint8Array>[] = [];
  const readNext = (member: PackMember | undefined): void => {
    if (!member) return;
    const bytes = collect(open(member.sha256, member.size), member.size, member.sha256);
    // Whoever awaits it sees the error; an early end of the stream must not leave it unhandled.
    bytes.catch(() => undefined);
    ahead.push(bytes);
  };
  for (const member of pack.members.slice(0, concurrency)) readNext(member);
  for (const index of pack.members.keys()) {
    const bytes = await ahead.shift();
    readNext(pack.members[index + concurrency]);
    if (bytes) yield bytes;
  }
}

/** Last of all, the tree's own list at the very end: whoever finds it finds everything. */
export async function publishLists(
  objects: Objects,
  entries: readonly TreeEntry[],
  type: "tree" | "model",
  packs: readonly Pack[],
): Promise<ArtifactRef> {
  const tree = buildTree(entries);
  if (packs.length > 0) await objects.putBytes(layoutKey(tree.digest), renderLayout(packs));
  for (const [digest, bytes] of tree.lists) await objects.putBytes(blobKey(digest), bytes);
  return { type, digest: tree.digest, size: tree.size };
}
