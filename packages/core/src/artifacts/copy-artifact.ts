import type { ArtifactRef } from "../artifact.ts";
import { EspalierError, isEspalierError } from "../errors.ts";
import type { ArtifactStore } from "../ports/artifact-store.ts";
import { blobKey, digestOfKey } from "./keys.ts";
import { createObjects, openBlob } from "./objects.ts";
import { keysOfArtifact } from "./read-tree.ts";
import { eachConcurrently } from "./streams.ts";

const concurrency = 8;

/** Objects and bytes that went over; what was there already counts for nothing. */
export interface Copied {
  objects: number;
  bytes: number;
}

/**
 * Brings what an artifact needs from one store to another, object by object under equal keys, each verified on its way where its key is its digest. What is there
 * already is not sent again, so a copy that was cut off goes on where it was. Errors: those of both stores; NOT_FOUND and CORRUPTED name the object.
 */
export async function copyArtifact(
  from: ArtifactStore,
  to: ArtifactStore,
  ref: ArtifactRef,
  /** Keys that the target is known to have, which are then not asked for one by one; what is brought is added. */
  held?: Set<string>,
): Promise<Copied> {
  const [source, target] = [createObjects(from), createObjects(to)];
  const copied: Copied = { objects: 0, bytes: 0 };
  const keys = await keysOfArtifact(source, ref).catch((error: unknown) => {
    // The source may never have had it (a move back from where only some of it went): then what the target holds is asked.
    if (!isEspalierError(error) || error.code !== "NOT_FOUND" || !held?.has(blobKey(ref.digest))) throw error;
    return keysOfArtifact(target, ref);
  });
  // What makes the rest findable comes after it, so that a copy that was cut off never looks whole.
  const root = blobKey(ref.digest);
  const comesLast = (key: string): boolean => key.startsWith("layouts/") || key === root;
  const bring = async (key: string): Promise<void> => {
    if (held?.has(key)) return;
    const known = keys.get(key);
    const size = known ?? (await source.head(key))?.size;
    if (size === undefined) throw new EspalierError("NOT_FOUND", `The store has no ${key}`, { details: { key } });
    if (held === undefined && (await target.head(key))?.size === size) return;
    const digest = key.startsWith("blobs/") ? digestOfKey(key) : undefined;
    // Opened at each try: a store that repeats a put needs the bytes from their beginning.
    const open = async function* (): AsyncGenerator<Uint8Array> {
      yield* digest === undefined ? await source.get(key) : await openBlob(source, digest, size);
    };
    // What is known to be absent is not looked for once more.
    if (held === undefined) await target.put(key, size, open);
    else await to.put(key, open(), { size, ifAbsent: true });
    held?.add(key);
    copied.objects += 1;
    copied.bytes += size;
  };
  const all = [...keys.keys()];
  await eachConcurrently(
    all.filter((key) => !comesLast(key)),
    concurrency,
    bring,
  );
  for (const key of all.filter((key) => comesLast(key) && key !== root)) await bring(key);
  await bring(root);
  return copied;
}
