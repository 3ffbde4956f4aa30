import { orderByValue } from "./order.ts";
import type { ScoredRows, Task } from "./scored-rows.ts";

/** Metrics that can be resampled: they are functions of sums over blocks (AUC of sums over pairs of blocks). */
export const resampledMetrics = {
  auc: { task: "binary", direction: "higher" },
  log_loss: { task: "binary", direction: "lower" },
  brier: { task: "binary", direction: "lower" },
  accuracy: { task: "binary", direction: "higher" },
  precision: { task: "binary", direction: "higher" },
  recall: { task: "binary", direction: "higher" },
  f1: { task: "binary", direction: "higher" },
  rmse: { task: "regression", direction: "lower" },
  mae: { task: "regression", direction: "lower" },
  r2: { task: "regression", direction: "higher" },
} as const satisfies Record<string, { task: Task; direction: "higher" | "lower" }>;
export type ResampledMetric = keyof typeof resampledMetrics;

export interface CalibrationBin {
  /** Bounds of the score; the upper one belongs to the next bin, except the last. */
  from: number;
  to: number;
  rows: number;
  meanScore: number | null;
  positiveShare: number | null;
}

const bins = 10;
const smallestProbability = 1e-15;

/** Logarithmic loss of one row; scores are kept off 0 and 1, as scikit-learn does. */
export function logLossOf(score: number, target: number): number {
  const p = Math.min(1 - smallestProbability, Math.max(smallestProbability, score));
  return -(target * Math.log(p) + (1 - target) * Math.log(1 - p));
}

/** Area under the ROC curve, ties counted half; NaN without both classes. */
export function auc(rows: ScoredRows, order: Uint32Array = orderByValue(rows.score)): number {
  let negativesBelow = 0;
  let wins = 0;
  let positives = 0;
  for (let start = 0; start < order.length; ) {
    let end = start;
    let tiePositives = 0;
    const value = rows.score[order[start] ?? 0];
    while (end < order.length && rows.score[order[end] ?? 0] === value) {
      if (rows.target[order[end] ?? 0] === 1) tiePositives++;
      end++;
    }
    const tieNegatives = end - start - tiePositives;
    wins += tiePositives * (negativesBelow + tieNegatives / 2);
    positives += tiePositives;
    negativesBelow += tieNegatives;
    start = end;
  }
  return wins / (positives * negativesBelow);
}

/** Area under the precision-recall steps (scikit-learn's average_precision_score). */
export function averagePrecision(rows: ScoredRows, order: Uint32Array = orderByValue(rows.score)): number {
  const positives = rows.target.reduce((sum, target) => sum + target, 0);
  let found = 0;
  let seen = 0;
  let sum = 0;
  for (let end = order.length; end > 0; ) {
    let start = end;
    let gained = 0;
    const value = rows.score[order[end - 1] ?? 0];
    while (start > 0 && rows.score[order[start - 1] ?? 0] === value) gained += rows.target[order[--start] ?? 0] ?? 0;
    seen += end - start;
    found += gained;
    sum += (found / seen) * (gained / positives);
    end = start;
  }
  return sum;
}

/** Ten bins of equal width over the score. */
export function calibrationTable(rows: ScoredRows): CalibrationBin[] {
  const count = new Float64Array(bins);
  const scores = new Float64Array(bins);
  const positives = new Float64Array(bins);
  for (let i = 0; i < rows.score.length; i++) {
    const score = rows.score[i] ?? 0;
    const bin = Math.min(bins - 1, Math.max(0, Math.floor(score * bins)));
    count[bin] = (count[bin] ?? 0) + 1;
    scores[bin] = (scores[bin] ?? 0) + score;
    positives[bin] = (positives[bin] ?? 0) + (rows.target[i] ?? 0);
  }
  return Array.from(count, (rowsInBin, bin) => ({
    from: bin / bins,
    to: (bin + 1) / bins,
    rows: rowsInBin,
    meanScore: rowsInBin === 0 ? null : (scores[bin] ?? 0) / rowsInBin,
    positiveShare: rowsInBin === 0 ? null : (positives[bin] ?? 0) / rowsInBin,
  }));
}

/** Expected calibration error: the mean gap between score and share of positives, weighted by rows. */
export function calibrationError(table: readonly CalibrationBin[]): number {
  const rows = table.reduce((sum, bin) => sum + bin.rows, 0);
  return table.reduce(
    (sum, bin) => sum + (bin.rows / rows) * Math.abs((bin.meanScore ?? 0) - (bin.positiveShare ?? 0)),
    0,
  );
}
