import { hellinger, jensenShannon, kullbackLeibler, populationStabilityIndex } from "./distances.ts";

/** Distances between two samples of numbers, row by row and exact. NaN and infinities must have been dropped. */
export type Sample = ArrayLike<number>;

/** First Wasserstein distance: the area between the two distribution functions, in the column's unit. */
export function wasserstein(reference: Sample, current: Sample): number {
  return integrateGap(reference, current, Math.abs);
}

/** Wasserstein distance in standard deviations of the reference (at least 0.001), as Evidently normalises it. */
export function normalisedWasserstein(reference: Sample, current: Sample): number {
  return wasserstein(reference, current) / Math.max(standardDeviation(reference), 0.001);
}

/** Energy distance: the square root of twice the squared gap between the distribution functions. */
export function energyDistance(reference: Sample, current: Sample): number {
  return Math.sqrt(2 * integrateGap(reference, current, (gap) => gap * gap));
}

/** Population standard deviation (divisor n). */
function standardDeviation(values: Sample): number {
  let mean = 0;
  let squares = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? 0;
    const delta = value - mean;
    mean += delta / (i + 1);
    squares += delta * (value - mean);
  }
  return Math.sqrt(squares / values.length);
}

function integrateGap(reference: Sample, current: Sample, of: (gap: number) => number): number {
  const r = sorted(reference);
  const c = sorted(current);
  let i = 0;
  let j = 0;
  let area = 0;
  let previous = Math.min(r[0] ?? 0, c[0] ?? 0);
  while (i < r.length || j < c.length) {
    const value = Math.min(r[i] ?? Infinity, c[j] ?? Infinity);
    area += of(i / r.length - j / c.length) * (value - previous);
    while (i < r.length && r[i] === value) i++;
    while (j < c.length && c[j] === value) j++;
    previous = value;
  }
  return area;
}

function sorted(values: Sample): Float64Array {
  return Float64Array.from(values).sort();
}

/** Counts over common bins, chosen as Evidently does: Sturges over both samples when the reference has more than 20 different values. */
export function evidentlyCounts(reference: Sample, current: Sample): { reference: number[]; current: number[] } {
  const different = new Set(Array.from(reference));
  if (different.size <= 20) {
    const values = [...new Set([...different, ...Array.from(current)])].sort((a, b) => a - b);
    const count = (sample: Sample): number[] => {
      const counts = new Map(values.map((value) => [value, 0]));
      for (const value of Array.from(sample)) counts.set(value, (counts.get(value) ?? 0) + 1);
      return [...counts.values()];
    };
    return { reference: count(reference), current: count(current) };
  }
  const both = Float64Array.from([...Array.from(reference), ...Array.from(current)]);
  return sturgesCounts(both, reference, current);
}

function sturgesCounts(
  basis: Float64Array,
  reference: Sample,
  current: Sample,
): { reference: number[]; current: number[] } {
  const low = basis.reduce((least, value) => Math.min(least, value), Infinity);
  const high = basis.reduce((most, value) => Math.max(most, value), -Infinity);
  const bins = high === low ? 1 : Math.ceil(Math.log2(basis.length) + 1);
  // As numpy: the upper end belongs to the last bin, and a value that rounding puts on the wrong side of its edge is moved.
  const edge = (index: number): number => (index === bins ? high : low + (index * (high - low)) / bins);
  const count = (sample: Sample): number[] => {
    const counts = new Array<number>(bins).fill(0);
    for (let i = 0; i < sample.length; i++) {
      const value = sample[i] ?? 0;
      let bin = high === low ? 0 : Math.min(bins - 1, Math.floor(((value - low) / (high - low)) * bins));
      if (value < edge(bin)) bin--;
      else if (bin < bins - 1 && value >= edge(bin + 1)) bin++;
      counts[bin] = (counts[bin] ?? 0) + 1;
    }
    return counts;
  };
  return { reference: count(reference), current: count(current) };
}

export interface ExactDrift {
  psi: number;
  kullbackLeibler: number;
  jensenShannon: number;
  hellinger: number;
  wasserstein: number;
}

/** The "Evidently-compatible" mode: exact values over raw rows, with Evidently's bins. Costs memory and a sort; profiles do not. */
export function evidentlyDrift(reference: Sample, current: Sample): ExactDrift {
  const counts = evidentlyCounts(reference, current);
  const unique = Float64Array.from(new Set([...Array.from(reference), ...Array.from(current)]));
  const hellingerCounts = unique.length <= 20 ? counts : sturgesCounts(unique, reference, current);
  return {
    psi: populationStabilityIndex(counts.reference, counts.current),
    kullbackLeibler: kullbackLeibler(counts.reference, counts.current),
    jensenShannon: jensenShannon(counts.reference, counts.current),
    hellinger: hellinger(hellingerCounts.reference, hellingerCounts.current),
    wasserstein: normalisedWasserstein(reference, current),
  };
}
