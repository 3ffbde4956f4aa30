import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { buildTree, type Digest, type TreeEntry } from "@espalier/core";

/** The identity of an input as the store has it: a file's bytes, or a folder's canonical list. */
export async function artifactDigest(path: string): Promise<Digest> {
  if (!(await stat(path)).isDirectory()) return `sha256:${await sha256(path)}`;
  const entries = (await readdir(path, { withFileTypes: true, recursive: true })).filter((entry) => entry.isFile());
  const files: TreeEntry[] = [];
  for (const entry of entries) {
    const file = join(entry.parentPath, entry.name);
    const { size, mode } = await stat(file);
    const treePath = relative(path, file).split(sep).join("/");
    files.push({ path: treePath, size, sha256: await sha256(file), executable: (mode & 0o100) !== 0 });
  }
  return buildTree(files).digest;
}

async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}
