import type { VerdictInfo } from "@espalier/contract";

/** A gate's decision in a line: the metric, the difference with its interval, and the margin that it was held against. */
export function verdictText(verdict: Pick<VerdictInfo, "outcome" | "verdict"> | undefined): string | undefined {
  if (verdict === undefined) return undefined;
  const read = (value: unknown, name: string): unknown =>
    typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
  const number = (value: unknown): string | undefined =>
    typeof value === "number" && Number.isFinite(value)
      ? `${value >= 0 ? "+" : "−"}${Math.abs(value).toFixed(4)}`
      : undefined;
  const metric = read(verdict.verdict, "metric");
  const difference = read(verdict.verdict, "difference");
  const [value, lower, upper] = ["value", "lower", "upper"].map((name) => number(read(difference, name)));
  const interval =
    value === undefined || lower === undefined || upper === undefined ? "" : ` ${value} (${lower} to ${upper})`;
  return `${verdict.outcome}${typeof metric === "string" ? `, ${metric}` : ""}${interval}`;
}
