import type { ModelSignature } from "./signature.ts";

/** One output of a model, its values row by row: `data.length / rows` values a row. */
export interface OutputValues {
  name: string;
  data: ArrayLike<number | bigint | string | boolean>;
}

/**
 * Which output is the score: that of `signature.score`; without one, an output named like `prob*`, its last column, since binary
 * classifiers put the positive class last; else the first column of the last output, which fits regressors.
 */
export function scoreOutput(signature: Pick<ModelSignature, "score" | "outputs">): {
  name: string;
  column: number | "last";
} {
  const { score, outputs } = signature;
  if (score !== undefined) return { name: score.output, column: score.index ?? 0 };
  const probability = outputs.find(({ name }) => /^prob/i.test(name));
  if (probability !== undefined) return { name: probability.name, column: "last" };
  return { name: outputs.at(-1)?.name ?? "", column: 0 };
}

/** The score of each row; null where the model gave none, NaN or an infinity. */
export function scoresOf(
  signature: Pick<ModelSignature, "score" | "outputs">,
  outputs: readonly OutputValues[],
  rows: number,
): (number | string | null)[] {
  const { name, column } = scoreOutput(signature);
  const data = outputs.find((output) => output.name === name)?.data ?? [];
  const width = Math.max(1, Math.floor(data.length / rows));
  const index = column === "last" ? width - 1 : column;
  return Array.from({ length: rows }, (_, row) => {
    const value = data[row * width + index];
    if (value === undefined || typeof value === "string") return value ?? null;
    const number = Number(value);
    return Number.isFinite(number) ? number : null;
  });
}
