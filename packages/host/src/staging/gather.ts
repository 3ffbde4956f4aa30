import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { type ArtifactRef, type Artifacts, isEspalierError, isTree, type TreeEntry } from "@espalier/core";

/** A tree with one entry a branch. Bytes are copied only where a branch's own tree lies in packs. */
export async function gatherBranches(
  artifacts: Artifacts,
  temporaryFolder: string,
  branches: readonly ArtifactRef[],
): Promise<ArtifactRef> {
  const entries: TreeEntry[] = [];
  for (const [index, ref] of branches.entries()) {
    const name = String(index).padStart(5, "0");
    if (!isTree(ref)) entries.push({ path: name, size: ref.size, sha256: ref.digest.slice(7), executable: false });
    else {
      for (const entry of await artifacts.entries(ref)) entries.push({ ...entry, path: `${name}/${entry.path}` });
    }
  }
  try {
    return await artifacts.adoptTree(entries, "tree");
  } catch (error) {
    if (!isEspalierError(error) || error.code !== "NOT_FOUND") throw error;
  }
  const folder = await mkdtemp(join(temporaryFolder, "gather-"));
  try {
    for (const [index, ref] of branches.entries()) {
      await artifacts.materialise(ref, join(folder, String(index).padStart(5, "0")));
    }
    return await artifacts.putTree(folder, "tree");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
