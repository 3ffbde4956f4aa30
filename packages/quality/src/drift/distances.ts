/**
 * Distances between two distributions over the same bins or categories, given as counts. Formulas and defaults are those of Evidently
 * (snapshot a4aa4c2), so that values can be compared; each function says where it differs from the textbook.
 */
export type Counts = readonly number[];

function shares(counts: Counts): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return counts.map((count) => (total === 0 ? 0 : count / total));
}

/** Empty bins get 0.0001, or a millionth of the smallest share if that is smaller still; the sum is left above 1, as Evidently leaves it. */
function filled(values: readonly number[]): number[] {
  const positive = values.filter((value) => value > 0);
  const smallest = Math.min(...positive);
  const fill = smallest <= 1e-4 ? smallest / 1e6 : 1e-4;
  return values.map((value) => (value > 0 ? value : fill));
}

/** Population stability index: the sum of (r - c) ln(r / c). Above 0.2 is commonly called a shift. */
export function populationStabilityIndex(reference: Counts, current: Counts): number {
  const r = filled(shares(reference));
  const c = filled(shares(current));
  return r.reduce((sum, share, index) => sum + (share - at(c, index)) * Math.log(share / at(c, index)), 0);
}

/** Kullback-Leibler divergence of the current from the reference, in nats, renormalised after empty bins were filled. */
export function kullbackLeibler(reference: Counts, current: Counts): number {
  const r = shares(filled(shares(reference)));
  const c = shares(filled(shares(current)));
  return r.reduce((sum, share, index) => sum + share * Math.log(share / at(c, index)), 0);
}

/** Jensen-Shannon distance: the square root of the divergence in nats, 0 to 0.8326. */
export function jensenShannon(reference: Counts, current: Counts): number {
  const r = shares(reference);
  const c = shares(current);
  const half = (p: readonly number[], q: readonly number[]): number =>
    p.reduce(
      (sum, share, index) => (share === 0 ? sum : sum + share * Math.log((2 * share) / (share + at(q, index)))),
      0,
    );
  return Math.sqrt(Math.max(0, (half(r, c) + half(c, r)) / 2));
}

/** Hellinger distance, 0 to 1. */
export function hellinger(reference: Counts, current: Counts): number {
  const r = shares(reference);
  const c = shares(current);
  const overlap = r.reduce((sum, share, index) => sum + Math.sqrt(share * at(c, index)), 0);
  return Math.sqrt(Math.max(0, 1 - overlap));
}

/** Total variation distance: half the sum of absolute differences, 0 to 1. */
export function totalVariation(reference: Counts, current: Counts): number {
  const r = shares(reference);
  const c = shares(current);
  return r.reduce((sum, share, index) => sum + Math.abs(share - at(c, index)), 0) / 2;
}

function at(values: readonly number[], index: number): number {
  return values[index] ?? 0;
}
