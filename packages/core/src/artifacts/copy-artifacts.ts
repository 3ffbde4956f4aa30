import type { ArtifactRef } from "../artifact.ts";
import { isEspalierError } from "../errors.ts";
import type { ArtifactStore } from "../ports/artifact-store.ts";
import { copyArtifact } from "./copy-artifact.ts";
import { keysOf } from "./gc.ts";
import { contentPrefixes, digestOfKey } from "./keys.ts";
import { digestOfStream, eachConcurrently } from "./streams.ts";

export interface CopyProgress {
  /** Artifacts that were looked at; of those, that were there already. */
  artifacts: number;
  held: number;
  /** That went over. */
  objects: number;
  bytes: number;
}

export interface CopyFailure {
  digest: string;
  type: string;
  code: string;
  message: string;
}

export interface CopyReport extends CopyProgress {
  /** Artifacts whose content the source has lost or damaged; the rest went over. At most `shownFailures`. */
  failures: CopyFailure[];
  failed: number;
}

const concurrency = 8;
const shownFailures = 1000;

/** Keys that a store holds: a thousand a call, so that what is there is known without asking for each. */
export async function keysHeldBy(store: ArtifactStore): Promise<Set<string>> {
  const held = new Set<string>();
  for (const prefix of contentPrefixes) for await (const key of keysOf(store, prefix)) held.add(key);
  return held;
}

/**
 * Brings many artifacts from one store to another. An artifact's root comes last, so that a copy that was cut off anywhere goes on by what the target holds.
 * What the source lost or damaged is told, and the rest goes over. Errors: those of the stores but NOT_FOUND and CORRUPTED; CANCELLED by the signal.
 */
export async function copyArtifacts(
  from: ArtifactStore,
  to: ArtifactStore,
  refs: AsyncIterable<ArtifactRef> | Iterable<ArtifactRef>,
  options: { held: Set<string>; signal?: AbortSignal; onProgress?: (progress: CopyProgress) => void },
): Promise<CopyReport> {
  const { held, signal, onProgress } = options;
  const report: CopyReport = { artifacts: 0, held: 0, objects: 0, bytes: 0, failures: [], failed: 0 };
  await eachConcurrently(distinct(refs), concurrency, async (ref) => {
    signal?.throwIfAborted();
    try {
      const { objects, bytes } = await copyArtifact(from, to, ref, held);
      if (objects === 0) report.held += 1;
      report.objects += objects;
      report.bytes += bytes;
    } catch (error) {
      if (!isEspalierError(error) || (error.code !== "NOT_FOUND" && error.code !== "CORRUPTED")) throw error;
      report.failed += 1;
      const { code, message } = error;
      if (report.failures.length < shownFailures)
        report.failures.push({ digest: ref.digest, type: ref.type, code, message });
    }
    report.artifacts += 1;
    onProgress?.(report);
  });
  return report;
}

async function* distinct(refs: AsyncIterable<ArtifactRef> | Iterable<ArtifactRef>): AsyncGenerator<ArtifactRef> {
  const seen = new Set<string>();
  for await (const ref of refs) {
    const key = `${ref.type} ${ref.digest}`;
    if (seen.has(key)) continue;
    seen.add(key);
    yield ref;
  }
}

/** Reads objects back and hashes them; the keys of those that do not hash to their names. Packs have their index's name and are not looked at. */
export async function damagedAmong(store: ArtifactStore, keys: Iterable<string>): Promise<string[]> {
  const damaged: string[] = [];
  await eachConcurrently(keys, concurrency, async (key) => {
    if (!key.startsWith("blobs/")) return;
    const { digest } = await digestOfStream(await store.get(key));
    if (digest !== digestOfKey(key)) damaged.push(key);
  });
  return damaged;
}
