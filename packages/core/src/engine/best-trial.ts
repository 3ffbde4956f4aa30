import type { TuneIr } from "../ir/pipeline.ts";
import type { StepRow } from "../record/engine-record.ts";

/** Of equal trials the first, so that a search comes to the same each time. One that failed, was stopped or has no finite metric is none. */
export function bestTrial<Row extends Pick<StepRow, "branch" | "state">>(
  rows: readonly Row[],
  metrics: ReadonlyMap<number, number>,
  direction: TuneIr["objective"]["direction"],
): Row | undefined {
  const sign = direction === "maximize" ? 1 : -1;
  let best: Row | undefined;
  let bar = Number.NEGATIVE_INFINITY;
  for (const row of rows) {
    if (row.state !== "succeeded" && row.state !== "cached") continue;
    const value = metrics.get(row.branch);
    if (value === undefined || !Number.isFinite(value) || value * sign <= bar) continue;
    best = row;
    bar = value * sign;
  }
  return best;
}
