/** Sums of a numeric column; they merge. Weighted merges make counts fractional. */
export interface Moments {
  count: number;
  mean: number;
  /** Sum of squared differences from the mean. */
  squares: number;
  min: number;
  max: number;
}

/**
 * Values are counted in many cells of equal width, and cells are joined to bins at `cuts`, so that a bin holds about a twentieth of the
 * reference. Grid and cuts come from the reference.
 */
export interface Histogram {
  /** Cell k holds [low + k·width, low + (k+1)·width); cell -1 what lies below, cell `cells` what lies above. */
  grid: { low: number; width: number; cells: number };
  /** First cell of each bin but the lowest. */
  cuts: number[];
  /** One more than cuts: `counts[i]` are the values from cut i-1 up to, but without, cut i. */
  counts: number[];
}

/** The values at which bins meet. */
export function histogramEdges({ grid, cuts }: Histogram): number[] {
  return cuts.map((cell) => grid.low + cell * grid.width);
}

export type ColumnKind = "numeric" | "categorical" | "boolean" | "time" | "other";

export interface ColumnProfile {
  name: string;
  kind: ColumnKind;
  /** DuckDB's name of the type. */
  type: string;
  rows: number;
  nulls: number;
  /** NaN and infinities of a floating-point column; neither null nor counted in the moments. */
  notFinite?: number;
  /** Approximate; only where the profile was made without a reference. */
  distinct?: number;
  moments?: Moments;
  histogram?: Histogram;
  /** Values of the reference (its most frequent ones), and the number of rows with any other value. */
  categories?: { values: { value: string; count: number }[]; other: number };
  /** Of a time column: first and last. */
  first?: string;
  last?: string;
}

export interface TableProfile {
  rows: number;
  columns: ColumnProfile[];
}

/** Counts over the same bins of a reference and a current column; undefined where they have nothing comparable. */
export function comparableCounts(
  reference: ColumnProfile,
  current: ColumnProfile,
): { reference: number[]; current: number[] } | undefined {
  if (reference.histogram !== undefined && current.histogram !== undefined) {
    return { reference: reference.histogram.counts, current: current.histogram.counts };
  }
  if (reference.categories === undefined || current.categories === undefined) return undefined;
  const seen = new Map(current.categories.values.map(({ value, count }) => [value, count]));
  const known = reference.categories.values.map(({ value }) => value);
  const knownCounts = known.map((value) => seen.get(value) ?? 0);
  const unknown = current.categories.values.filter(({ value }) => !known.includes(value));
  const other = current.categories.other + unknown.reduce((sum, { count }) => sum + count, 0);
  const referenceCounts = reference.categories.values.map(({ count }) => count);
  // A bin that is empty on both sides would only add a category to the tests' degrees of freedom.
  if (other === 0 && reference.categories.other === 0) return { reference: referenceCounts, current: knownCounts };
  return { reference: [...referenceCounts, reference.categories.other], current: [...knownCounts, other] };
}
