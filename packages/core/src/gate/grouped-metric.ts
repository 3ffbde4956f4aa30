import type { ResampledMetric } from "./metrics.ts";
import { orderByValue } from "./order.ts";
import { additiveMetrics } from "./row-sums.ts";
import type { ScoredRows } from "./scored-rows.ts";

/** The metric when group g counts `weights[g]` times. Exact: nothing is binned, and no row is looked at again. */
export type GroupedMetric = (weights: Float64Array) => number;

export interface Groups {
  count: number;
  /** Of each row. */
  of: Int32Array;
}

export interface GroupedOptions {
  metric: ResampledMetric;
  threshold: number;
  /** Only these rows, by ascending score; all rows when left out. */
  order?: Uint32Array;
}

export function groupMetric(rows: ScoredRows, groups: Groups, options: GroupedOptions): GroupedMetric {
  const order = options.order ?? (options.metric === "auc" ? orderByValue(rows.score) : undefined);
  if (options.metric === "auc") return groupAuc(rows, groups, order ?? orderByValue(rows.score));
  const { width, add, finish } = additiveMetrics[options.metric];
  const sums = new Float64Array(groups.count * width);
  const length = order?.length ?? rows.score.length;
  for (let i = 0; i < length; i++) {
    const row = order === undefined ? i : (order[i] ?? 0);
    add(sums, (groups.of[row] ?? 0) * width, rows.score[row] ?? 0, rows.target[row] ?? 0, options.threshold);
  }
  const total = new Float64Array(width);
  return (weights) => {
    total.fill(0);
    for (let group = 0; group < groups.count; group++) {
      const weight = weights[group] ?? 0;
      if (weight === 0) continue;
      for (let j = 0; j < width; j++) total[j] = (total[j] ?? 0) + weight * (sums[group * width + j] ?? 0);
    }
    return finish(total);
  };
}

/**
 * AUC is the share of (positive, negative) pairs in the right order, so under resampling it is a quadratic form in the weights:
 * `wins[g][h]` counts the pairs with the positive in group g and the negative in group h. A resample costs groups², whatever the rows.
 */
function groupAuc(rows: ScoredRows, groups: Groups, order: Uint32Array): GroupedMetric {
  const { count } = groups;
  const wins = new Float64Array(count * count);
  const positives = new Float64Array(count);
  const negatives = new Float64Array(count);
  const tied = new Float64Array(count);
  for (let start = 0; start < order.length; ) {
    const value = rows.score[order[start] ?? 0];
    let end = start;
    tied.fill(0);
    for (; end < order.length && rows.score[order[end] ?? 0] === value; end++) {
      const row = order[end] ?? 0;
      const group = groups.of[row] ?? 0;
      if (rows.target[row] !== 1) tied[group] = (tied[group] ?? 0) + 1;
    }
    for (let i = start; i < end; i++) {
      const row = order[i] ?? 0;
      if (rows.target[row] !== 1) continue;
      const group = groups.of[row] ?? 0;
      positives[group] = (positives[group] ?? 0) + 1;
      const offset = group * count;
      for (let h = 0; h < count; h++) {
        wins[offset + h] = (wins[offset + h] ?? 0) + (negatives[h] ?? 0) + 0.5 * (tied[h] ?? 0);
      }
    }
    for (let h = 0; h < count; h++) negatives[h] = (negatives[h] ?? 0) + (tied[h] ?? 0);
    start = end;
  }
  return (weights) => {
    let sum = 0;
    let positiveSum = 0;
    let negativeSum = 0;
    for (let g = 0; g < count; g++) {
      const weight = weights[g] ?? 0;
      if (weight === 0) continue;
      positiveSum += weight * (positives[g] ?? 0);
      negativeSum += weight * (negatives[g] ?? 0);
      let row = 0;
      for (let h = 0; h < count; h++) row += (weights[h] ?? 0) * (wins[g * count + h] ?? 0);
      sum += weight * row;
    }
    return sum / (positiveSum * negativeSum);
  };
}
