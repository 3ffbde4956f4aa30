import { pointMetrics, type ScoredRows, seededRandom } from "@espalier/core";
import type { OnnxModel } from "../onnx-client.ts";
import type { EvaluateWith } from "./evaluate.ts";
import type { ScoredTable } from "./score-table.ts";

export interface Importance {
  column: string;
  /** By how much the metric gets worse when the column's values are shuffled among the sampled rows: the mean of all repeats. */
  loss: number;
  /** Standard deviation of the repeats: a loss of less than about two of it may be none. */
  deviation: number;
}

export interface ImportanceReport {
  /** AUC for a binary task, RMSE for regression. */
  metric: string;
  /** Of the sampled rows as they are. */
  base: number;
  /** Sampled rows. */
  rows: number;
  repeats: number;
  /** Most important first. */
  columns: Importance[];
}

/**
 * Measured on a sample of rows; needs nothing of a model but its scores. null where there is no sample, or where the metric is not defined
 * on it (rows of one class).
 */
export async function permutationImportance(
  model: OnnxModel,
  table: ScoredTable,
  rows: ScoredRows,
  settings: EvaluateWith,
): Promise<ImportanceReport | null> {
  const { rows: sampled, columns } = table.sample;
  if (sampled.length === 0) return null;
  const metric = settings.task === "binary" ? "auc" : "rmse";
  const sign = settings.task === "binary" ? 1 : -1;
  const target = Float64Array.from(sampled, (row) => rows.target[row] ?? 0);
  const measure = (score: Float64Array): number => pointMetrics({ score, target }, settings.task)[metric] ?? Number.NaN;
  const base = measure(Float64Array.from(sampled, (row) => rows.score[row] ?? 0));
  if (!Number.isFinite(base)) return null;
  const random = seededRandom(settings.seed);
  const result: Importance[] = [];
  for (const [index, input] of model.signature.inputs.entries()) {
    const losses: number[] = [];
    for (let repeat = 0; repeat < settings.importance_repeats; repeat++) {
      const shuffled = columns.map((values, other) => (other === index ? shuffle(values, random) : values));
      losses.push(sign * (base - measure(await model.score(shuffled, sampled.length))));
    }
    result.push({ column: input.name, ...summary(losses) });
  }
  result.sort((a, b) => b.loss - a.loss);
  return { metric, base, rows: sampled.length, repeats: settings.importance_repeats, columns: result };
}

/** The deviation is that of a sample; of one repeat it is not known and told as 0. */
function summary(losses: readonly number[]): Pick<Importance, "loss" | "deviation"> {
  const loss = losses.reduce((sum, value) => sum + value, 0) / losses.length;
  const squares = losses.reduce((sum, value) => sum + (value - loss) ** 2, 0);
  return { loss, deviation: losses.length < 2 ? 0 : Math.sqrt(squares / (losses.length - 1)) };
}

function shuffle(values: readonly unknown[], random: (bound: number) => number): unknown[] {
  const copy = [...values];
  for (let i = copy.length - 1; i > 0; i--) {
    const j = random(i + 1);
    const kept = copy[i];
    copy[i] = copy[j];
    copy[j] = kept;
  }
  return copy;
}
