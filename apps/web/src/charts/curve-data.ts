import type { Curve } from "@espalier/contract";

/** Columns of one curve as charts draw them: the mean as a line, the lowest and highest of each bucket as a band around it. */
export interface CurveColumns {
  x: number[];
  mean: (number | null)[];
  low: (number | null)[];
  high: (number | null)[];
}

/** `step` is the training step, `time` seconds since the curve's first point, `clock` seconds since the epoch. */
export type HorizontalAxis = "step" | "time" | "clock";

/** A value that is no finite number leaves a gap: a chart has no place for it. */
function finite(value: number | string): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

export function columnsOf({ buckets }: Pick<Curve, "buckets">, axis: HorizontalAxis): CurveColumns {
  const first = buckets[0]?.at ?? 0;
  return {
    x: buckets.map(({ from, at }) => (axis === "step" ? from : (at - (axis === "time" ? first : 0)) / 1000)),
    mean: buckets.map(({ mean }) => finite(mean)),
    low: buckets.map(({ low }) => finite(low)),
    high: buckets.map(({ high }) => finite(high)),
  };
}

/**
 * Exponential moving average with the start's bias taken out (as Adam does): each value is the weighted mean of those before it, of which
 * the weight falls by `weight` a point. 0 changes nothing. Gaps stay gaps.
 */
export function smooth(values: readonly (number | null)[], weight: number): (number | null)[] {
  if (weight <= 0) return [...values];
  let sum = 0;
  let share = 0;
  return values.map((value) => {
    if (value === null) return null;
    sum = sum * weight + value * (1 - weight);
    share = share * weight + (1 - weight);
    return sum / share;
  });
}

/** For screen readers, and for those who want the figures: where a curve begins, ends, and its extremes. */
export function curveWords({ buckets, points, notANumber }: Curve, decimal: (value: number) => string): string {
  const lows = buckets.flatMap(({ low }) => (typeof low === "number" ? [low] : []));
  const highs = buckets.flatMap(({ high }) => (typeof high === "number" ? [high] : []));
  const last = buckets.at(-1)?.mean;
  if (lows.length === 0) return `${points} points, none of them a finite number`;
  const least = lows.reduce((a, b) => Math.min(a, b));
  const greatest = highs.reduce((a, b) => Math.max(a, b));
  return [
    `${points.toLocaleString("en")} ${points === 1 ? "point" : "points"} from ${decimal(least)} to ${decimal(greatest)}`,
    ...(typeof last === "number" ? [`last ${decimal(last)}`] : []),
    ...(notANumber > 0 ? [`${notANumber} not a number`] : []),
  ].join(", ");
}
