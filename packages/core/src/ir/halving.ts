import type { TuneIr } from "./pipeline.ts";

/** At which step of the metric the trials are compared for the `rung`-th time, from 0. */
export function rungStep({ after, factor = 3 }: NonNullable<TuneIr["stop_early"]>, rung: number): number {
  return after * factor ** rung;
}

/**
 * Which of the `newcomers` to a rung are stopped: those that are not among the best 1/factor (one at least) of all that came so far. Equals
 * of the last that goes on go on too. Asynchronous successive halving (Li et al., 2020, in its stopping form): nobody waits for a rung to fill.
 */
export function losersAt(
  values: ReadonlyMap<number, number>,
  newcomers: Iterable<number>,
  { factor, direction }: { factor: number; direction: TuneIr["objective"]["direction"] },
): number[] {
  const sign = direction === "maximize" ? 1 : -1;
  const worth = (value: number | undefined): number =>
    value === undefined || Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value * sign;
  const best = [...values.values()].map(worth).sort((a, b) => b - a);
  const bar = best[Math.max(1, Math.floor(best.length / factor)) - 1] ?? Number.NEGATIVE_INFINITY;
  return [...newcomers].filter((branch) => worth(values.get(branch)) < bar);
}
