import type { GroupedMetric, Groups } from "./grouped-metric.ts";
import { seededRandom } from "./random.ts";

/** Blocks beyond this number are joined at random: dependence within a block stays inside a group, and a resample stays cheap. */
const largestGroupCount = 256;

/** Groups to resample, from declared blocks; without blocks, rows are dealt to groups at random, which treats them as independent. */
export function resamplingGroups(
  rows: number,
  blocks: { count: number; codes: Int32Array } | undefined,
  seed: number,
  limit = largestGroupCount,
): Groups {
  const random = seededRandom(seed);
  if (blocks !== undefined && blocks.count <= limit) return { count: blocks.count, of: blocks.codes };
  if (blocks !== undefined) {
    const group = dealt(blocks.count, limit, random);
    return { count: limit, of: blocks.codes.map((code) => group[code] ?? 0) };
  }
  const count = Math.min(limit, rows);
  return { count, of: dealt(rows, count, random) };
}

/** Deals items to groups like cards, in a new random order each round, so that group sizes differ by one at most. */
function dealt(items: number, groups: number, random: (bound: number) => number): Int32Array {
  const result = new Int32Array(items);
  const hand = Int32Array.from({ length: groups }, (_, index) => index);
  for (let i = 0; i < items; i++) {
    const position = i % groups;
    const other = position + random(groups - position);
    const card = hand[other] ?? 0;
    hand[other] = hand[position] ?? 0;
    hand[position] = card;
    result[i] = card;
  }
  return result;
}

/** Weights of one resample: how often each of `count` groups was drawn in `count` draws with replacement. */
function* resampleWeights(count: number, resamples: number, seed: number): Iterable<Float64Array> {
  const random = seededRandom(seed);
  const weights = new Float64Array(count);
  for (let i = 0; i < resamples; i++) {
    weights.fill(0);
    for (let draw = 0; draw < count; draw++) {
      const group = random(count);
      weights[group] = (weights[group] ?? 0) + 1;
    }
    yield weights;
  }
}

export interface Interval {
  value: number;
  lower: number;
  upper: number;
  standardError: number;
  /** Resamples in which the metric existed (both classes were there). */
  resamples: number;
}

/** Percentile interval of `statistic` at the two-sided confidence. */
export function bootstrapInterval(
  statistic: GroupedMetric,
  groups: number,
  options: { resamples: number; confidence: number; seed: number },
): Interval {
  const draws: number[] = [];
  for (const weights of resampleWeights(groups, options.resamples, options.seed)) {
    const value = statistic(weights);
    if (Number.isFinite(value)) draws.push(value);
  }
  draws.sort((a, b) => a - b);
  const tail = (1 - options.confidence) / 2;
  const mean = draws.reduce((sum, draw) => sum + draw, 0) / draws.length;
  const variance = draws.reduce((sum, draw) => sum + (draw - mean) ** 2, 0) / (draws.length - 1);
  return {
    value: statistic(new Float64Array(groups).fill(1)),
    lower: quantile(draws, tail),
    upper: quantile(draws, 1 - tail),
    standardError: Math.sqrt(variance),
    resamples: draws.length,
  };
}

/** Linear interpolation between order statistics; NaN of nothing. */
function quantile(sorted: readonly number[], q: number): number {
  const position = (sorted.length - 1) * q;
  const low = sorted[Math.floor(position)] ?? Number.NaN;
  const high = sorted[Math.ceil(position)] ?? Number.NaN;
  return low + (high - low) * (position - Math.floor(position));
}
