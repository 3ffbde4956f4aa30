import { z } from "zod";
import { canonicalJson, type Digest, digestOfBytes } from "../canonical-json.ts";
import { EspalierError } from "../errors.ts";
import { sha256ToDigest } from "./keys.ts";

/** One file of a tree; `path` is relative to the tree with POSIX separators, `size` in bytes, `sha256` hexadecimal. */
export interface TreeEntry {
  path: string;
  size: number;
  sha256: string;
  executable: boolean;
}

/**
 * The canonical list of one folder. A folder inside it has a `path` that ends in `/`, the summed size of its files, and as `sha256`
 * the digest of its own list: a change touches only the lists above it.
 */
const listSchema = z.array(
  z.strictObject({
    path: z.string().refine(isEntryName, "not a plain file name"),
    size: z.int().nonnegative(),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    executable: z.boolean(),
  }),
);

/** A list may come from a remote step, so a name must not lead anywhere else when it is written to a disk. */
function isEntryName(path: string): boolean {
  const name = path.endsWith("/") ? path.slice(0, -1) : path;
  return name !== "" && name !== "." && name !== ".." && !/[/\\\0]/.test(name) && name.isWellFormed();
}

export const isFolder = (entry: TreeEntry): boolean => entry.path.endsWith("/");

const compareUtf8 = (a: TreeEntry, b: TreeEntry): number => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path));

export interface BuiltTree {
  digest: Digest;
  /** Sum of file sizes in bytes. */
  size: number;
  /** Every folder's list by its digest, deepest first, the tree's own last: the order in which they are published. */
  lists: Map<Digest, Uint8Array>;
}

interface Folder {
  files: TreeEntry[];
  folders: Map<string, Folder>;
}

/**
 * The identity of a tree: the SHA-256 of its canonical list, whatever the order of `files`. Times, owners, empty folders and mode bits
 * other than "executable" are not part of it. INVALID_INPUT on a path that is not relative and plain, or that occurs twice.
 */
export function buildTree(files: Iterable<TreeEntry>): BuiltTree {
  const root: Folder = { files: [], folders: new Map() };
  for (const file of files) {
    const segments = file.path.split("/");
    const name = segments.pop() ?? "";
    if (![...segments, name].every(isEntryName)) {
      throw new EspalierError("INVALID_INPUT", `A file of a tree can not be named ${JSON.stringify(file.path)}`, {
        hint: "Names are relative, without '..' or backslashes; rename the file.",
      });
    }
    let folder = root;
    for (const segment of segments) {
      const child = folder.folders.get(segment) ?? { files: [], folders: new Map() };
      folder.folders.set(segment, child);
      folder = child;
    }
    folder.files.push({ path: name, size: file.size, sha256: file.sha256, executable: file.executable });
  }
  const lists = new Map<Digest, Uint8Array>();
  return { ...listFolder(root, lists), lists };
}

function listFolder(folder: Folder, lists: Map<Digest, Uint8Array>): { digest: Digest; size: number } {
  const entries = [...folder.files];
  for (const [name, child] of folder.folders) {
    const { digest, size } = listFolder(child, lists);
    entries.push({ path: `${name}/`, size, sha256: digest.slice(7), executable: false });
  }
  const names = new Set(entries.map((entry) => (isFolder(entry) ? entry.path.slice(0, -1) : entry.path)));
  if (names.size !== entries.length) throw new EspalierError("INVALID_INPUT", "A tree names the same path twice");
  const bytes = Buffer.from(canonicalJson(entries.sort(compareUtf8)), "utf8");
  const digest = digestOfBytes(bytes);
  // Deleting first keeps "the tree's own list is last" true when a folder equals one met before.
  lists.delete(digest);
  lists.set(digest, bytes);
  return { digest, size: entries.reduce((sum, entry) => sum + entry.size, 0) };
}

/** Strict: a list that is not in canonical form would give one tree two digests. */
export function parseTreeList(bytes: Uint8Array, digest: Digest): TreeEntry[] {
  const damaged = (why: string, cause?: unknown): EspalierError =>
    new EspalierError("CORRUPTED", `The list of tree ${digest} is not a valid tree list: ${why}`, {
      cause,
      details: { digest },
      hint: "Run the step that made it again with --force.",
    });
  let entries: TreeEntry[];
  const text = Buffer.from(bytes).toString("utf8");
  try {
    entries = listSchema.parse(JSON.parse(text));
  } catch (error) {
    throw damaged(error instanceof z.ZodError ? z.prettifyError(error) : String(error), error);
  }
  if (canonicalJson([...entries].sort(compareUtf8)) !== text) throw damaged("it is not in canonical form");
  return entries;
}

export const entryDigest = (entry: TreeEntry): Digest => sha256ToDigest(entry.sha256);
