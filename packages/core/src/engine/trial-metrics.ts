import type { StepRow } from "../record/engine-record.ts";
import type { RunContext } from "./run-context.ts";

/** The last value that each ended trial reported, by branch; of a cached one, what the attempt reported whose outputs it took. */
export async function trialMetrics(
  context: RunContext,
  step: string,
  metric: string,
  rows: readonly StepRow[],
): Promise<ReadonlyMap<number, number>> {
  if (rows.length === 0) return new Map();
  const attempts = await context.options.record.attempts(context.run.id);
  // In the order of their numbers: the last one counts.
  const ids = new Map(attempts.filter((one) => one.step === step).map((one) => [one.branch, one.id]));
  const attemptOf = (row: StepRow): string => row.cachedFrom ?? ids.get(row.branch) ?? "";
  const metrics = await context.options.record.latestMetric(rows.map(attemptOf), metric);
  return new Map(
    rows.flatMap((row): [number, number][] => {
      const value = metrics.get(attemptOf(row));
      return value === undefined ? [] : [[row.branch, value]];
    }),
  );
}
