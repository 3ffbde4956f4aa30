import type { ModelOutput } from "../model/model.ts";

/** The parser's escape for digits that a JavaScript number would round (ES2026; in Node since 22). */
const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON;

function jsonValue(value: number | bigint | string | boolean, type: string): unknown {
  if (type === "bool") return Boolean(value);
  if (typeof value !== "bigint") return value;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : rawJson(String(value));
}

/** A flat list for JSON. NaN and infinities become null, because JSON has none. */
export function flatValues(output: ModelOutput): unknown[] {
  const { data, type } = output;
  if (type === "float32" || type === "float64") return Array.from(data);
  return Array.from(data, (value) => jsonValue(value, type));
}

/** One value a row: a scalar, or nested lists by the output's further dimensions; a last dimension of 1 is dropped. */
export function rowValues(output: ModelOutput, rows: number): unknown[] {
  const flat = flatValues(output);
  // A Python model's answer is written as MLflow writes it, dimensions of 1 and all.
  const dropped = output.tail.at(-1) === 1 && output.form === undefined;
  const tail = dropped ? output.tail.slice(0, -1) : output.tail;
  if (tail.length === 0) return flat;
  let values = flat;
  for (const size of [...tail].reverse()) {
    const grouped: unknown[] = [];
    for (let at = 0; at < values.length; at += size) grouped.push(values.slice(at, at + size));
    values = grouped;
  }
  return values.slice(0, rows);
}
