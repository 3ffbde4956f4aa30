/** Sums of a numeric column; they merge. Weighted merges make counts fractional. */
export interface Moments {
  count: number;
  mean: number;
  /** Sum of squared differences from the mean. */
  squares: number;
  min: number;
  max: number;
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
  /** `counts[i]` are the values in (edges[i-1], edges[i]]; the first and last bin are open. Edges come from the reference. */
  histogram?: { edges: number[]; counts: number[] };
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
