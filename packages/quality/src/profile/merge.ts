import { EspalierError } from "@espalier/core";
import type { ColumnProfile, Moments, TableProfile } from "./profile.ts";

export interface WeightedProfile {
  profile: TableProfile;
  /** Each row counts this often; 1 when left out. */
  weight?: number;
}

/** One profile of all parts, which must have been made with the same reference. `distinct` does not merge and is left out. */
export function mergeProfiles(parts: readonly WeightedProfile[]): TableProfile {
  const first = parts[0];
  if (first === undefined) throw new EspalierError("INVALID_INPUT", "There is no profile to merge");
  return {
    rows: parts.reduce((sum, { profile, weight = 1 }) => sum + weight * profile.rows, 0),
    columns: first.profile.columns.map((column, index) =>
      mergeColumn(
        column,
        parts.map(({ profile, weight = 1 }) => ({ column: profile.columns[index], weight })),
      ),
    ),
  };
}

interface WeightedColumn {
  column: ColumnProfile | undefined;
  weight: number;
}

function mergeColumn(model: ColumnProfile, parts: readonly WeightedColumn[]): ColumnProfile {
  const sum = (of: (column: ColumnProfile) => number): number =>
    parts.reduce((total, { column, weight }) => total + weight * (column === undefined ? 0 : of(column)), 0);
  for (const { column } of parts) {
    if (column?.name !== model.name || !sameBins(column, model)) {
      throw new EspalierError("INVALID_INPUT", `Profiles of \`${model.name}\` were not made with the same reference`, {
        at: model.name,
      });
    }
  }
  const { distinct: _, ...rest } = model;
  const merged: ColumnProfile = { ...rest, rows: sum((column) => column.rows), nulls: sum((column) => column.nulls) };
  if (model.notFinite !== undefined) merged.notFinite = sum((column) => column.notFinite ?? 0);
  const moments = parts.flatMap(({ column, weight }) =>
    column?.moments === undefined ? [] : [{ moments: column.moments, weight }],
  );
  if (moments.length > 0) merged.moments = mergeMoments(moments);
  if (model.histogram !== undefined) {
    merged.histogram = {
      grid: model.histogram.grid,
      cuts: model.histogram.cuts,
      counts: model.histogram.counts.map((_count, bin) => sum((column) => column.histogram?.counts[bin] ?? 0)),
    };
  }
  if (model.categories !== undefined) {
    const values = [
      ...new Set(parts.flatMap(({ column }) => column?.categories?.values.map(({ value }) => value) ?? [])),
    ];
    const countOf = (column: ColumnProfile, value: string): number =>
      column.categories?.values.find((entry) => entry.value === value)?.count ?? 0;
    merged.categories = {
      values: values.map((value) => ({ value, count: sum((column) => countOf(column, value)) })),
      other: sum((column) => column.categories?.other ?? 0),
    };
  }
  const firsts = parts.flatMap(({ column }) => column?.first ?? []).sort();
  const lasts = parts.flatMap(({ column }) => column?.last ?? []).sort();
  if (firsts[0] !== undefined) merged.first = firsts[0];
  if (lasts.at(-1) !== undefined) merged.last = lasts.at(-1) ?? "";
  return merged;
}

function sameBins({ histogram: a }: ColumnProfile, { histogram: b }: ColumnProfile): boolean {
  return a?.grid.low === b?.grid.low && a?.grid.width === b?.grid.width && `${a?.cuts}` === `${b?.cuts}`;
}

/** Chan's formula: exact up to rounding, in any order. */
function mergeMoments(parts: readonly { moments: Moments; weight: number }[]): Moments {
  return parts.reduce<Moments>(
    (total, { moments, weight }) => {
      const added = weight * moments.count;
      const count = total.count + added;
      if (added === 0) return total;
      const delta = moments.mean - total.mean;
      return {
        count,
        mean: total.mean + (delta * added) / count,
        squares: total.squares + weight * moments.squares + (delta * delta * total.count * added) / count,
        min: Math.min(total.min, moments.min),
        max: Math.max(total.max, moments.max),
      };
    },
    { count: 0, mean: 0, squares: 0, min: Infinity, max: -Infinity },
  );
}

/**
 * Like with like: the reference's strata (weekdays, hours) weighted so that they are mixed as in the current data. A window that holds
 * two Sundays of seven days would otherwise differ from a year by its calendar alone. Strata that the reference lacks stay out of both.
 */
export function matchStrata(
  reference: ReadonlyMap<string, TableProfile>,
  current: ReadonlyMap<string, TableProfile>,
): { reference: TableProfile; current: TableProfile; unmatched: string[] } {
  const shared = [...current.keys()].filter((stratum) => (reference.get(stratum)?.rows ?? 0) > 0);
  const unmatched = [...current.keys()].filter((stratum) => !shared.includes(stratum));
  if (shared.length === 0) {
    throw new EspalierError("INVALID_INPUT", "Reference and current data share no stratum", {
      hint: `The current data has: ${[...current.keys()].join(", ")}; the reference: ${[...reference.keys()].join(", ")}.`,
    });
  }
  const total = (profiles: ReadonlyMap<string, TableProfile>): number =>
    shared.reduce((sum, stratum) => sum + (profiles.get(stratum)?.rows ?? 0), 0);
  const scale = total(reference) / total(current);
  const part = (profiles: ReadonlyMap<string, TableProfile>, stratum: string): TableProfile =>
    profiles.get(stratum) ?? { rows: 0, columns: [] };
  return {
    reference: mergeProfiles(
      shared.map((stratum) => ({
        profile: part(reference, stratum),
        weight: (scale * part(current, stratum).rows) / part(reference, stratum).rows,
      })),
    ),
    current: mergeProfiles(shared.map((stratum) => ({ profile: part(current, stratum) }))),
    unmatched,
  };
}
