import { logLossOf, type ResampledMetric } from "./metrics.ts";
import type { ScoredRows } from "./scored-rows.ts";

type AdditiveMetric = Exclude<ResampledMetric, "auc">;

/** What a row adds to its block's sums, and the metric as a function of sums. */
interface Additive {
  width: number;
  add(sums: Float64Array, offset: number, score: number, target: number, threshold: number): void;
  finish(sums: Float64Array): number;
}

const mean = (term: (score: number, target: number, threshold: number) => number): Additive => ({
  width: 2,
  add: (sums, offset, score, target, threshold) => {
    bump(sums, offset, term(score, target, threshold));
    bump(sums, offset + 1, 1);
  },
  finish: (sums) => at(sums, 0) / at(sums, 1),
});

/** Sums: true positives, predicted positives, actual positives. */
const confusion = (finish: (hits: number, predicted: number, actual: number) => number): Additive => ({
  width: 3,
  add: (sums, offset, score, target, threshold) => {
    const predicted = score >= threshold ? 1 : 0;
    bump(sums, offset, predicted * target);
    bump(sums, offset + 1, predicted);
    bump(sums, offset + 2, target);
  },
  finish: (sums) => finish(at(sums, 0), at(sums, 1), at(sums, 2)),
});

const squaredError = mean((score, target) => (score - target) ** 2);

export const additiveMetrics: Readonly<Record<AdditiveMetric, Additive>> = {
  log_loss: mean(logLossOf),
  brier: squaredError,
  accuracy: mean((score, target, threshold) => (score >= threshold === (target === 1) ? 1 : 0)),
  // No positive predicted: precision is 0 and not unknown, as scikit-learn has it.
  precision: confusion((hits, predicted) => (predicted === 0 ? 0 : hits / predicted)),
  recall: confusion((hits, _, actual) => hits / actual),
  f1: confusion((hits, predicted, actual) => (predicted + actual === 0 ? 0 : (2 * hits) / (predicted + actual))),
  rmse: { ...squaredError, finish: (sums) => Math.sqrt(squaredError.finish(sums)) },
  mae: mean((score, target) => Math.abs(score - target)),
  r2: {
    width: 4,
    add: (sums, offset, score, target) => {
      bump(sums, offset, (score - target) ** 2);
      bump(sums, offset + 1, target);
      bump(sums, offset + 2, target * target);
      bump(sums, offset + 3, 1);
    },
    finish: (sums) => {
      const rows = at(sums, 3);
      return 1 - at(sums, 0) / (at(sums, 2) - at(sums, 1) ** 2 / rows);
    },
  },
};

/** A metric of all rows. */
export function additiveMetric(metric: AdditiveMetric, rows: ScoredRows, threshold = 0.5): number {
  const { width, add, finish } = additiveMetrics[metric];
  const sums = new Float64Array(width);
  for (let i = 0; i < rows.score.length; i++) add(sums, 0, rows.score[i] ?? 0, rows.target[i] ?? 0, threshold);
  return finish(sums);
}

function at(sums: Float64Array, index: number): number {
  return sums[index] ?? 0;
}

function bump(sums: Float64Array, index: number, by: number): void {
  sums[index] = (sums[index] ?? 0) + by;
}
