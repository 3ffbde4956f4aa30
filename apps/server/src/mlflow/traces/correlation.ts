import type { TraceCounts } from "../../db/queries/traces/search.ts";

/** Jeffreys' prior: what is added to each of the four counts, so that few traces do not look like a law. */
const prior = 0.5;

/**
 * Normalised pointwise mutual information of two filters, -1 (never together) to 1 (always together); NaN where one of them meets
 * nothing. Bouma, "Normalized (pointwise) mutual information in collocation extraction", 2009.
 */
export function correlation({ first, second, both, all }: TraceCounts): { plain: number; smoothed: number } {
  if (all === 0 || first === 0 || second === 0) return { plain: Number.NaN, smoothed: Number.NaN };
  const cells = { both, first: first - both, second: second - both, none: all - first - second + both };
  return { plain: both === 0 ? -1 : normalised(cells, 0), smoothed: normalised(cells, prior) };
}

function normalised(cells: Record<"both" | "first" | "second" | "none", number>, added: number): number {
  const both = cells.both + added;
  const first = both + cells.first + added;
  const second = both + cells.second + added;
  const all = first + cells.second + added + cells.none + added;
  if (both === all) return 1;
  const information = Math.log(both) + Math.log(all) - Math.log(first) - Math.log(second);
  const value = information / -(Math.log(both) - Math.log(all));
  return Math.max(-1, Math.min(1, value));
}
