import { normalCdf, upperGamma } from "@espalier/core";
import type { Counts } from "./distances.ts";
import type { Sample } from "./samples.ts";

/** A test's statistic and its two-sided p-value. */
export interface TestResult {
  statistic: number;
  pValue: number;
}

/** Samples up to this size get the exact p-value (scipy's own limit). */
const exactLimit = 10_000;

/** Two-sample Kolmogorov-Smirnov test. */
export function kolmogorovSmirnov(reference: Sample, current: Sample): TestResult {
  const r = Float64Array.from(reference).sort();
  const c = Float64Array.from(current).sort();
  // In units of 1/(r·c) the statistic is a whole number, so that no comparison depends on rounding.
  let largest = 0;
  for (let i = 0, j = 0; i < r.length && j < c.length; ) {
    const value = Math.min(r[i] ?? 0, c[j] ?? 0);
    while (i < r.length && r[i] === value) i++;
    while (j < c.length && c[j] === value) j++;
    largest = Math.max(largest, Math.abs(i * c.length - j * r.length));
  }
  const statistic = largest / (r.length * c.length);
  const pValue =
    Math.max(r.length, c.length) <= exactLimit
      ? exactTail(r.length, c.length, largest)
      : kolmogorovTail(statistic, Math.round((r.length * c.length) / (r.length + c.length)));
  return { statistic, pValue };
}

/** Share of lattice paths from (0, 0) to (m, n) that leave the band |i/m - j/n| < d; every order of the two samples is one path. */
function exactTail(m: number, n: number, distance: number): number {
  if (distance === 0) return 1;
  const left = new Float64Array(n + 1);
  for (let i = 0; i <= m; i++) {
    for (let j = 0; j <= n; j++) {
      if (Math.abs(i * n - j * m) >= distance) left[j] = 1;
      else if (i === 0) left[j] = j === 0 ? 0 : (left[j - 1] ?? 0);
      else left[j] = (i * (left[j] ?? 0) + (j === 0 ? 0 : j * (left[j - 1] ?? 0))) / (i + j);
    }
  }
  return left[n] ?? 1;
}

/** P(D >= d) of the one-sample statistic of n values, by the limit distribution with Vrbik's correction (error of order n^-1.5). */
export function kolmogorovTail(d: number, n: number): number {
  if (d <= 0 || n <= 0) return 1;
  const root = Math.sqrt(n);
  const z = d * root;
  const x = z + 1 / (6 * root) + (z - 1) / (4 * n);
  if (x < 0.3) return 1;
  let sum = 0;
  for (let k = 1; k <= 100; k++) {
    const term = Math.exp(-2 * k * k * x * x);
    sum += k % 2 === 1 ? term : -term;
    if (term < 1e-18) break;
  }
  return Math.min(1, Math.max(0, 2 * sum));
}

/**
 * Chi-square test of the current counts against the reference's shares (one sample, as Evidently has it; df = categories - 1).
 * A category that the reference has never seen makes the statistic infinite.
 */
export function chiSquare(reference: Counts, current: Counts): TestResult {
  const referenceTotal = reference.reduce((sum, count) => sum + count, 0);
  const currentTotal = current.reduce((sum, count) => sum + count, 0);
  const statistic = current.reduce((sum, count, index) => {
    const expected = ((reference[index] ?? 0) * currentTotal) / referenceTotal;
    if (expected === 0) return count === 0 ? sum : Infinity;
    return sum + (count - expected) ** 2 / expected;
  }, 0);
  const degrees = current.length - 1;
  if (statistic === Infinity) return { statistic, pValue: 0 };
  return { statistic, pValue: degrees === 0 ? 1 : upperGamma(degrees / 2, statistic / 2) };
}

/** Pooled z-test of two proportions. */
export function proportionTest(
  reference: { hits: number; rows: number },
  current: { hits: number; rows: number },
): TestResult {
  const pooled = (reference.hits + current.hits) / (reference.rows + current.rows);
  const error = Math.sqrt(pooled * (1 - pooled) * (1 / reference.rows + 1 / current.rows));
  if (error === 0) return { statistic: 0, pValue: 1 };
  const statistic = (current.hits / current.rows - reference.hits / reference.rows) / error;
  return { statistic, pValue: 2 * normalCdf(-Math.abs(statistic)) };
}
