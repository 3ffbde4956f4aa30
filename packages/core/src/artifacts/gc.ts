import { z } from "zod";
import type { ArtifactRef } from "../artifact.ts";
import { canonicalJson } from "../canonical-json.ts";
import { EspalierError } from "../errors.ts";
import type { ArtifactStore } from "../ports/artifact-store.ts";
import { contentPrefixes, quarantineKey, quarantinePrefix } from "./keys.ts";
import { markReachable } from "./mark.ts";
import { moveObject } from "./objects.ts";
import { requireStoreOwner } from "./store-owner.ts";
import { collect, eachConcurrently, streamOf } from "./streams.ts";

export interface GcPlan {
  /** What nothing needs any more, in order of key; `size` in bytes. */
  objects: { key: string; size: number }[];
  bytes: number;
  /** Objects that are needed. */
  kept: number;
  /** What earlier sweeps put into quarantine, and whose time there is over. */
  expired: SweepRecord[];
  /** What an earlier sweep put into quarantine and something needs since. */
  wanted: string[];
}

export interface SweepRecord {
  /** Where the record itself lies. */
  key: string;
  /** Milliseconds since the epoch. */
  sweptAt: number;
  objects: string[];
}

export interface GcOptions {
  /** Id of this project's metadata database. */
  database: string;
  /** Milliseconds since the epoch. */
  now: number;
  /** Days that swept objects stay restorable; 7 unless told, 0 deletes at once. */
  quarantineDays?: number;
}

const dayMilliseconds = 24 * 60 * 60 * 1000;
const defaultQuarantineDays = 7;
const sweepsPrefix = `${quarantinePrefix}sweeps/`;
const sweepSchema = z.object({ version: z.literal(1), swept_at: z.number(), objects: z.array(z.string()) });
const largestSweepBytes = 256 * 1024 * 1024;
const concurrency = 8;

/** A preview; nothing is changed. `roots`: artifacts of every run, dataset, model version, endpoint. CONFLICT: the store is another's. */
export async function planGc(
  store: ArtifactStore,
  roots: Iterable<ArtifactRef> | AsyncIterable<ArtifactRef>,
  options: GcOptions,
): Promise<GcPlan> {
  await requireStoreOwner(store, options.database);
  const { keys } = await markReachable(store, roots);
  const objects: GcPlan["objects"] = [];
  let kept = 0;
  for (const prefix of contentPrefixes) {
    await eachConcurrently(keysOf(store, prefix), concurrency, async (key) => {
      if (keys.has(key)) kept += 1;
      else objects.push({ key, size: (await store.head(key))?.size ?? 0 });
    });
  }
  objects.sort((a, b) => (a.key < b.key ? -1 : 1));
  const until = options.now - (options.quarantineDays ?? defaultQuarantineDays) * dayMilliseconds;
  const sweeps = await readSweeps(store);
  const expired = sweeps.filter((sweep) => sweep.sweptAt <= until);
  const wanted = [...new Set(sweeps.flatMap((sweep) => sweep.objects))].filter((key) => keys.has(key));
  return { objects, bytes: objects.reduce((sum, object) => sum + object.size, 0), kept, expired, wanted };
}

/**
 * Moves the plan's objects into quarantine, and empties what earlier sweeps left there longer than allowed. A sweep that is cut off
 * is finished by the next. What is looked for while in quarantine comes back by itself; what came on record after it was swept, and was not
 * looked for, comes back here.
 */
export async function sweepGc(
  store: ArtifactStore,
  plan: GcPlan,
  options: GcOptions,
): Promise<{ swept: number; deleted: number }> {
  await requireStoreOwner(store, options.database);
  const keepsDays = options.quarantineDays ?? defaultQuarantineDays;
  if (plan.objects.length > 0 && keepsDays > 0) {
    // The record comes first: an object in quarantine that no record names would stay for ever.
    const sweep = { version: 1, swept_at: options.now, objects: plan.objects.map((object) => object.key) };
    const bytes = Buffer.from(canonicalJson(sweep));
    const name = new Date(options.now).toISOString().replaceAll(":", "-");
    await store.put(`${sweepsPrefix}${name}.json`, streamOf(bytes), { size: bytes.byteLength });
  }
  await eachConcurrently(plan.wanted, concurrency, (key) => moveObject(store, quarantineKey(key), key));
  await eachConcurrently(plan.objects, concurrency, ({ key }) =>
    keepsDays > 0 ? moveObject(store, key, quarantineKey(key)) : store.delete(key),
  );
  let deleted = keepsDays > 0 ? 0 : plan.objects.length;
  const heldLonger = new Set((await readSweeps(store)).filter(isYounger(plan)).flatMap((sweep) => sweep.objects));
  for (const sweep of plan.expired) {
    const gone = sweep.objects.filter((key) => !heldLonger.has(key));
    await eachConcurrently(gone, concurrency, async (key) => {
      if (!(await store.head(quarantineKey(key)))) return;
      await store.delete(quarantineKey(key));
      deleted += 1;
    });
    await store.delete(sweep.key);
  }
  return { swept: keepsDays > 0 ? plan.objects.length : 0, deleted };
}

/** Brings back everything in quarantine. */
export async function restoreQuarantine(store: ArtifactStore): Promise<number> {
  let restored = 0;
  for (const sweep of await readSweeps(store)) {
    await eachConcurrently(sweep.objects, concurrency, async (key) => {
      if (!(await store.head(quarantineKey(key)))) return;
      await moveObject(store, quarantineKey(key), key);
      restored += 1;
    });
    await store.delete(sweep.key);
  }
  return restored;
}

const isYounger = (plan: GcPlan) => {
  const expired = new Set(plan.expired.map((sweep) => sweep.key));
  return (sweep: SweepRecord): boolean => !expired.has(sweep.key);
};

async function readSweeps(store: ArtifactStore): Promise<SweepRecord[]> {
  const sweeps: SweepRecord[] = [];
  for await (const key of keysOf(store, sweepsPrefix)) {
    const bytes = await collect(await store.get(key), largestSweepBytes, key);
    try {
      const sweep = sweepSchema.parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
      sweeps.push({ key, sweptAt: sweep.swept_at, objects: sweep.objects });
    } catch (error) {
      throw new EspalierError("CORRUPTED", `The record of a sweep ${key} can not be read`, { cause: error, at: key });
    }
  }
  return sweeps;
}

/** All keys below a prefix, page by page. */
export async function* keysOf(store: ArtifactStore, prefix: string): AsyncGenerator<string> {
  let cursor: string | undefined;
  do {
    const page = await store.list(prefix, cursor);
    yield* page.keys;
    cursor = page.next;
  } while (cursor !== undefined);
}
