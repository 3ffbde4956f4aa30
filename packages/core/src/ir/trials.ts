import { digestOfJson, type Json } from "../canonical-json.ts";
import type { TuneIr } from "./pipeline.ts";

/** The most trials that one step may have. */
export const mostTrials = 1_000;

/** What a search leaves beside the outputs of its best trial: the table of all trials (JSON), and the best one's values and metric. */
export const searchOutputs = { trials: "file", best_trial: "value" } as const;

type Range = TuneIr["search"][string];

/**
 * The values of every trial, in order. A trial's values follow from the seed, its number and the name alone, so that a resumed search, or one
 * with more trials, has the same trials again and finds them in the cache.
 */
export function trialsOf(tune: TuneIr): Record<string, Json>[] {
  const entries = Object.entries(tune.search).sort(([a], [b]) => (a < b ? -1 : 1));
  if (tune.method === "grid") {
    const grid = entries.reduce<Record<string, Json>[]>(
      (points, [name, range]) =>
        points.flatMap((point) => (gridValues(range) ?? []).map((value) => ({ ...point, [name]: value }))),
      [{}],
    );
    return grid.slice(0, tune.trials ?? mostTrials);
  }
  return Array.from({ length: tune.trials ?? 0 }, (_, trial) =>
    Object.fromEntries(entries.map(([name, range]) => [name, valueAt(range, share(tune.seed ?? 0, trial, name))])),
  );
}

/** Points of a grid; undefined when a range has no end of values. Counts without making them. */
export function gridSize(tune: TuneIr): number | undefined {
  let size = 1;
  for (const range of Object.values(tune.search)) {
    if ("choice" in range) size *= range.choice.length;
    else if ("integer" in range) size *= Math.max(0, range.integer[1] - range.integer[0] + 1);
    else return undefined;
  }
  return size;
}

function gridValues(range: Range): Json[] | undefined {
  if ("choice" in range) return range.choice;
  if (!("integer" in range)) return undefined;
  const [low, high] = range.integer;
  return Array.from({ length: high - low + 1 }, (_, index) => low + index);
}

/** Evenly spread over [0, 1), 52 bits. */
function share(seed: number, trial: number, name: string): number {
  return Number.parseInt(digestOfJson([seed, trial, name]).slice(7, 20), 16) / 2 ** 52;
}

function valueAt(range: Range, at: number): Json {
  if ("choice" in range) return range.choice[Math.floor(at * range.choice.length)] ?? null;
  if ("integer" in range) return range.integer[0] + Math.floor(at * (range.integer[1] - range.integer[0] + 1));
  if ("uniform" in range) return range.uniform[0] + at * (range.uniform[1] - range.uniform[0]);
  const [low, high] = range.log_uniform;
  return Math.min(high, Math.max(low, Math.exp(Math.log(low) + at * (Math.log(high) - Math.log(low)))));
}
