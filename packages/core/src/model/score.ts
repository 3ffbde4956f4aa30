import type { ModelSignature } from "./signature.ts";

/** One output of a model, its values row by row: `data.length / rows` values a row. */
export interface OutputValues {
  name: string;
  data: ArrayLike<number | bigint | string | boolean>;
}

/**
 * The score of each row by `signature.score`; without one, the last column of an output named like `prob*`, else the first column of the
 * last output, since binary classifiers put the positive class last and regressors have one output.
 */
export function scoresOf(
  signature: Pick<ModelSignature, "score">,
  outputs: readonly OutputValues[],
  rows: number,
): (number | string | null)[] {
  const named = outputs.find((output) => output.name === signature.score?.output);
  const probability = outputs.find((output) => /^prob/i.test(output.name));
  const output = named ?? probability ?? outputs.at(-1);
  if (output === undefined || rows === 0) return [];
  const width = Math.max(1, Math.floor(output.data.length / rows));
  const index = named !== undefined ? (signature.score?.index ?? 0) : probability !== undefined ? width - 1 : 0;
  const scores: (number | string | null)[] = [];
  for (let row = 0; row < rows; row++) {
    const value = output.data[row * width + index];
    if (value === undefined) scores.push(null);
    else if (typeof value === "string") scores.push(value);
    else {
      const number = Number(value);
      scores.push(Number.isFinite(number) ? number : null);
    }
  }
  return scores;
}
