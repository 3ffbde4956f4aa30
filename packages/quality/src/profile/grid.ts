import type { Histogram } from "./profile.ts";

const cells = 512;
const bins = 20;

/** What one cell holds; sums are of the difference from the grid's low end, so that large values lose no digits. */
export interface Cell {
  cell: number;
  count: number;
  sum: number;
  squares: number;
  min: number;
  max: number;
}

/** Cells between two values that enclose nearly all of the reference; of whole numbers each cell starts at a whole number. */
export function makeGrid(from: number, to: number, wholeNumbers: boolean): Histogram["grid"] {
  if (wholeNumbers) return { low: from, width: Math.max(1, Math.ceil((to - from + 1) / cells)), cells };
  const width = (to - from) / (cells - 1);
  // A constant column has cells around its value all the same, or every other constant would look equal.
  return { low: from, width: width > 0 ? width : Math.max(1, Math.abs(from)), cells };
}

/** Joins the reference's cells to bins of about a twentieth; few different values get a bin each. */
export function chooseCuts(counted: readonly Cell[]): number[] {
  const sorted = [...counted].sort((a, b) => a.cell - b.cell);
  if (sorted.length <= bins) {
    const last = sorted.at(-1)?.cell;
    return last === undefined ? [] : [...sorted.map(({ cell }) => cell), last + 1].filter((cut) => cut >= 0);
  }
  const total = sorted.reduce((sum, { count }) => sum + count, 0);
  const cuts: number[] = [];
  let below = 0;
  let reached = 0;
  for (const { cell, count } of sorted) {
    const twentieths = Math.floor((below * bins) / total);
    if (twentieths > reached && cell >= 0) cuts.push(cell);
    // A cell that holds several twentieths is one bin, and counting goes on behind it.
    reached = Math.max(reached, twentieths);
    below += count;
  }
  return cuts;
}

/** Counts by bin. */
export function fillBins(grid: Histogram["grid"], cuts: readonly number[], counted: readonly Cell[]): Histogram {
  const counts = new Array<number>(cuts.length + 1).fill(0);
  for (const { cell, count } of counted) {
    const bin = cuts.findLastIndex((cut) => cut <= cell) + 1;
    counts[bin] = (counts[bin] ?? 0) + count;
  }
  return { grid, cuts: [...cuts], counts };
}
