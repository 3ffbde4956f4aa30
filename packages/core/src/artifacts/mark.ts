import type { ArtifactRef } from "../artifact.ts";
import type { Digest } from "../canonical-json.ts";
import { isEspalierError } from "../errors.ts";
import type { ArtifactStore } from "../ports/artifact-store.ts";
import { blobKey, layoutKey, packKey } from "./keys.ts";
import { createObjects } from "./objects.ts";
import { readPacks } from "./read-tree.ts";
import { entryDigest, isFolder, parseTreeList } from "./tree.ts";

export interface Marks {
  /** Keys that are needed. A packed file's own key is among them too: harmless, and it keeps one list's marks the same everywhere. */
  keys: Set<string>;
  /** Lists that the store no longer has: what they named can not be known. */
  missing: Digest[];
}

/** Everything that these artifacts need. CORRUPTED when a list is damaged: removing anything then could remove what it names. */
export async function markReachable(
  store: ArtifactStore,
  roots: Iterable<ArtifactRef> | AsyncIterable<ArtifactRef>,
): Promise<Marks> {
  const objects = createObjects(store);
  const marks: Marks = { keys: new Set(), missing: [] };
  const entered = new Set<Digest>();

  async function markList(digest: Digest): Promise<void> {
    if (entered.has(digest)) return;
    entered.add(digest);
    marks.keys.add(blobKey(digest));
    let bytes: Uint8Array;
    try {
      bytes = await objects.readBlob(digest);
    } catch (error) {
      if (!isEspalierError(error) || error.code !== "NOT_FOUND") throw error;
      marks.missing.push(digest);
      return;
    }
    for (const entry of parseTreeList(bytes, digest)) {
      if (isFolder(entry)) await markList(entryDigest(entry));
      else marks.keys.add(blobKey(entryDigest(entry)));
    }
  }

  const laidOut = new Set<Digest>();
  for await (const root of roots) {
    if (root.type !== "tree" && root.type !== "model") {
      marks.keys.add(blobKey(root.digest));
      continue;
    }
    await markList(root.digest);
    if (laidOut.has(root.digest)) continue;
    laidOut.add(root.digest);
    for (const pack of await readPacks(objects, root.digest)) {
      marks.keys.add(layoutKey(root.digest)).add(packKey(pack.digest)).add(blobKey(pack.digest));
    }
  }
  return marks;
}
