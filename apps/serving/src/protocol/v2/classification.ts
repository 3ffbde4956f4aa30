import { badRequest } from "../../http/request-error.ts";
import type { ModelOutput } from "../../model/model.ts";

/**
 * Triton's classification extension: the highest values of each row, greatest first, as text `value:index`; we know no labels. Errors:
 * INVALID_INPUT for an output of text.
 */
export function classify(output: ModelOutput, rows: number, classes: number): ModelOutput {
  const { name, type, tail, data } = output;
  if (type === "string") throw badRequest(`output "${name}" is text, which can not be classified`);
  const width = tail.reduce((product, size) => product * size, 1);
  const count = Math.min(classes, width);
  const isReal = type.startsWith("float");
  const texts: string[] = [];
  for (let row = 0; row < rows; row++) {
    const values = Array.from({ length: width }, (_, index) => Number(data[row * width + index]));
    const order = values
      .map((_, index) => index)
      .sort((left, right) => rank(values, right) - rank(values, left) || left - right);
    for (const index of order.slice(0, count)) {
      const value = data[row * width + index];
      texts.push(`${isReal ? Number(value).toFixed(6) : String(Number(value))}:${index}`);
    }
  }
  return { name, type: "string", tail: [count], data: texts };
}

/** What is no number comes last. */
function rank(values: readonly number[], index: number): number {
  const value = values[index] as number;
  return Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value;
}
