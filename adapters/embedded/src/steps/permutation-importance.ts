import { pointMetrics, type ScoredRows, seededRandom } from "@espalier/core";
import type { OnnxModel } from "../onnx-client.ts";
import type { EvaluateWith } from "./evaluate.ts";
import type { ScoredTable } from "./score-table.ts";

export interface Importance {
  column: string;
  /** By how much the metric gets worse when the column's values are shuffled among the sampled rows. */
  loss: number;
}

/** Measured on a sample of rows, most important first. AUC for a binary task, RMSE for regression. */
export async function permutationImportance(
  model: OnnxModel,
  table: ScoredTable,
  rows: ScoredRows,
  settings: EvaluateWith,
): Promise<{ metric: string; rows: number; columns: Importance[] } | null> {
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
    const shuffled = columns.map((values, other) => (other === index ? shuffle(values, random) : values));
    const score = await model.score(shuffled, sampled.length);
    result.push({ column: input.name, loss: sign * (base - measure(score)) });
  }
  return { metric, rows: sampled.length, columns: result.sort((a, b) => b.loss - a.loss) };
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
