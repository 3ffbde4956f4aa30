import type { ArtifactRef } from "../artifact.ts";
import { isEspalierError } from "../errors.ts";
import type { ArtifactStore } from "../ports/artifact-store.ts";
import { keysOf } from "./gc.ts";
import { digestOfKey } from "./keys.ts";
import { createObjects, damagedBlob, moveObject } from "./objects.ts";
import { parsePackIndex } from "./packs.ts";
import { keysOfArtifact, verifyPack } from "./read-tree.ts";
import { digestOfStream, eachConcurrently } from "./streams.ts";

/** An artifact under the words by which its owner knows it: `run 01J…/train.model`, `dataset flights@3`. */
export interface NamedRoot {
  name: string;
  ref: ArtifactRef;
}

export interface StoreDamage {
  key: string;
  /** `missing`: something needs it, and the store does not have it. */
  kind: "damaged" | "missing";
  message: string;
  /** Names of roots that need it. */
  usedBy: string[];
}

export interface StoreReport {
  /** Objects and bytes that were read. */
  objects: number;
  bytes: number;
  damages: StoreDamage[];
}

const concurrency = 4;

/** Hashes every stored object again, and looks for every object that the roots need. Nothing is changed. */
export async function verifyStore(
  store: ArtifactStore,
  roots: Iterable<NamedRoot> | AsyncIterable<NamedRoot>,
  onProgress?: (objects: number, bytes: number) => void,
): Promise<StoreReport> {
  const objects = createObjects(store);
  const report: StoreReport = { objects: 0, bytes: 0, damages: [] };
  const damages = new Map<string, StoreDamage>();
  const note = (key: string, kind: StoreDamage["kind"], message: string): StoreDamage => {
    const damage = damages.get(key) ?? { key, kind, message, usedBy: [] };
    damages.set(key, damage);
    return damage;
  };
  const check = async (key: string, read: () => Promise<number>): Promise<void> => {
    try {
      // `+= await` would add to what the sum was before its turn came, and lose what others added meanwhile.
      const bytes = await read();
      report.bytes += bytes;
    } catch (error) {
      if (!isEspalierError(error) || (error.code !== "CORRUPTED" && error.code !== "NOT_FOUND")) throw error;
      note(key, "damaged", error.message);
    }
    report.objects += 1;
    onProgress?.(report.objects, report.bytes);
  };

  await eachConcurrently(keysOf(store, "blobs/"), concurrency, (key) =>
    check(key, async () => {
      const expected = digestOfKey(key);
      const { digest, size } = await digestOfStream(await store.get(key));
      if (expected && digest !== expected) throw damagedBlob(key, expected, digest);
      return size;
    }),
  );
  await eachConcurrently(keysOf(store, "packs/"), concurrency, (key) =>
    check(key, async () => {
      const digest = digestOfKey(key);
      if (!digest) return 0;
      const pack = parsePackIndex(await objects.readBlob(digest), digest);
      await verifyPack(objects, pack);
      return pack.size;
    }),
  );

  for await (const { name, ref } of roots) {
    for (const [key, size] of await needed(store, ref)) {
      const damage = damages.get(key);
      if (damage) damage.usedBy.push(name);
      else if (size === "absent") note(key, "missing", `The store has no ${key}`).usedBy.push(name);
    }
  }
  report.damages = [...damages.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  return report;
}

/** Keys that an artifact needs; when one of its lists can not be read, at least the key that stands in the way. */
async function needed(store: ArtifactStore, ref: ArtifactRef): Promise<Map<string, "present" | "absent">> {
  const objects = createObjects(store);
  const states = new Map<string, "present" | "absent">();
  try {
    const keys = await keysOfArtifact(objects, ref);
    await eachConcurrently(keys.keys(), concurrency, async (key) => {
      states.set(key, (await objects.head(key)) ? "present" : "absent");
    });
  } catch (error) {
    if (!isEspalierError(error) || (error.code !== "CORRUPTED" && error.code !== "NOT_FOUND")) throw error;
    const key = error.details.key;
    if (typeof key !== "string") throw error;
    states.set(key, error.code === "NOT_FOUND" ? "absent" : "present");
  }
  return states;
}

/** Moves damaged objects out of the way, so that running a step again can write them whole. They stay below `damaged/`. */
export async function setAsideDamaged(store: ArtifactStore, report: StoreReport): Promise<number> {
  const damaged = report.damages.filter((damage) => damage.kind === "damaged");
  for (const { key } of damaged) await moveObject(store, key, `damaged/${key}`);
  return damaged.length;
}
