import { type ColumnProfile, histogramEdges } from "../profile/profile.ts";
import { kolmogorovTail, type TestResult } from "./tests.ts";

/**
 * Wasserstein distance in standard deviations of the reference, from histograms with common edges: values are taken as spread evenly
 * within a bin, and the open bins end at the smallest and largest value seen. The distance is never below the difference of the means,
 * which is known exactly and is the better figure when values have left the reference's range. undefined without numbers.
 */
export function histogramWasserstein(reference: ColumnProfile, current: ColumnProfile): number | undefined {
  const { histogram: r, moments: a } = reference;
  const { histogram: c, moments: b } = current;
  if (r === undefined || c === undefined || a === undefined || b === undefined) return undefined;
  const low = Math.min(a.min, b.min);
  const high = Math.max(a.max, b.max);
  const inner = histogramEdges(r).filter((edge) => edge > low && edge < high);
  const points = [low, ...inner, high];
  const left = distributionAt(points, reference);
  const right = distributionAt(points, current);
  let area = 0;
  for (let i = 1; i < points.length; i++) {
    const width = (points[i] ?? 0) - (points[i - 1] ?? 0);
    area += width * meanAbsolute((left[i - 1] ?? 0) - (right[i - 1] ?? 0), (left[i] ?? 0) - (right[i] ?? 0));
  }
  return Math.max(area, Math.abs(a.mean - b.mean)) / Math.max(Math.sqrt(a.squares / a.count), 0.001);
}

/** Kolmogorov-Smirnov statistic at the edges: a lower bound of the exact one, with its asymptotic p-value. */
export function histogramKolmogorovSmirnov(reference: ColumnProfile, current: ColumnProfile): TestResult | undefined {
  const { histogram: r, moments: a } = reference;
  const { histogram: c, moments: b } = current;
  if (r === undefined || c === undefined || a === undefined || b === undefined) return undefined;
  const left = cumulative(r.counts);
  const right = cumulative(c.counts);
  const statistic = left.reduce((most, share, index) => Math.max(most, Math.abs(share - (right[index] ?? 0))), 0);
  return { statistic, pValue: kolmogorovTail(statistic, Math.round((a.count * b.count) / (a.count + b.count))) };
}

/** The distribution function at the points: known at the edges, 0 and 1 at the column's own ends. */
function distributionAt(points: readonly number[], column: ColumnProfile): number[] {
  const { histogram, moments } = column;
  if (histogram === undefined || moments === undefined) return points.map(() => 0);
  const shares = cumulative(histogram.counts);
  const known: [number, number][] = [[moments.min, 0]];
  for (const [index, edge] of histogramEdges(histogram).entries()) {
    if (edge > moments.min && edge < moments.max) known.push([edge, shares[index] ?? 0]);
  }
  known.push([moments.max, 1]);
  return points.map((point) => interpolate(known, point));
}

function interpolate(known: readonly [number, number][], point: number): number {
  const first = known[0];
  const last = known.at(-1);
  if (first === undefined || last === undefined || point < first[0]) return 0;
  if (point >= last[0]) return 1;
  const above = known.findIndex(([x]) => x > point);
  const [x1, y1] = known[above] ?? last;
  const [x0, y0] = known[above - 1] ?? first;
  return x1 === x0 ? y1 : y0 + ((y1 - y0) * (point - x0)) / (x1 - x0);
}

/** Mean of |x| where x runs in a straight line from `from` to `to`. */
function meanAbsolute(from: number, to: number): number {
  if (from * to >= 0) return Math.abs(from + to) / 2;
  return (from * from + to * to) / (2 * (Math.abs(from) + Math.abs(to)));
}

function cumulative(counts: readonly number[]): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  let running = 0;
  return counts.map((count) => {
    running += count;
    return total === 0 ? 0 : running / total;
  });
}
