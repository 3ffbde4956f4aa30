import { evaluate } from "@marcbachmann/cel-js";
import type { Json } from "../canonical-json.ts";
import { EspalierError } from "../errors.ts";

export function evaluateExpression(expression: string, variables: Readonly<Record<string, Json>>): Json {
  try {
    return plain(evaluate(expression, { ...variables }));
  } catch (cause) {
    throw new EspalierError("INVALID_PIPELINE", `The expression ${expression} does not evaluate: ${String(cause)}`, {
      cause,
    });
  }
}

function plain(value: unknown): Json {
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, member]) => [String(key), plain(member)]));
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)]));
  }
  return value as Json;
}
