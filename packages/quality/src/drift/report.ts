import { type ColumnProfile, comparableCounts, type TableProfile } from "../profile/profile.ts";
import { hellinger, jensenShannon, kullbackLeibler, populationStabilityIndex, totalVariation } from "./distances.ts";
import { histogramKolmogorovSmirnov, histogramWasserstein } from "./histogram-distances.ts";
import { chiSquare, proportionTest } from "./tests.ts";

export type DriftMeasure =
  | "psi"
  | "jensen_shannon"
  | "kullback_leibler"
  | "hellinger"
  | "total_variation"
  | "wasserstein"
  | "kolmogorov_smirnov_p"
  | "chi_square_p"
  | "null_share_change";

/** Limits by measure: distances alarm at or above, p-values at or below. Only measures that are named here are judged. */
export type MeasureThresholds = Partial<Record<DriftMeasure, number>>;

export interface DriftThresholds {
  /** For every column that `columns` does not name. */
  default?: MeasureThresholds;
  columns?: Readonly<Record<string, MeasureThresholds>>;
  /** Columns that are reported but never judged. */
  ignore?: readonly string[];
  /** Share of judged columns that must have drifted for the table to have drifted. */
  share?: number;
  /** With fewer rows on either side a column is not judged. */
  minimumRows?: number;
}

export interface ColumnDrift {
  column: string;
  kind: ColumnProfile["kind"];
  outcome: "kept" | "drifted" | "too_few" | "not_judged";
  /** The measures that crossed their limit, with it. */
  crossed: { measure: DriftMeasure; value: number; threshold: number }[];
  measures: Partial<Record<DriftMeasure, number>>;
  reference: { rows: number; nullShare: number; mean?: number };
  current: { rows: number; nullShare: number; mean?: number };
}

export interface DriftReport {
  drifted: boolean;
  /** Share of judged columns that drifted. */
  share: number;
  referenceRows: number;
  currentRows: number;
  columns: ColumnDrift[];
  schema: { missing: string[]; added: string[]; retyped: { column: string; from: string; to: string }[] };
}

/** PSI 0.2 is the customary mark of a shift; half of the columns is Evidently's mark of a table's. */
export const defaultThresholds = {
  default: { psi: 0.2 },
  share: 0.5,
  minimumRows: 100,
} as const satisfies DriftThresholds;

const pValues: ReadonlySet<DriftMeasure> = new Set(["kolmogorov_smirnov_p", "chi_square_p"]);

/** Compares two profiles; the current one must have been made with the reference, so that bins are the same. Pure. */
export function driftReport(
  reference: TableProfile,
  current: TableProfile,
  thresholds: DriftThresholds = {},
): DriftReport {
  const present = new Map(current.columns.map((column) => [column.name, column]));
  const known = new Set(reference.columns.map((column) => column.name));
  const columns = reference.columns.flatMap((column) => {
    const other = present.get(column.name);
    return other === undefined ? [] : [columnDrift(column, other, thresholds)];
  });
  const judged = columns.filter((column) => column.outcome === "drifted" || column.outcome === "kept");
  const drifted = judged.filter((column) => column.outcome === "drifted").length;
  const share = judged.length === 0 ? 0 : drifted / judged.length;
  return {
    drifted: judged.length > 0 && share >= (thresholds.share ?? defaultThresholds.share),
    share,
    referenceRows: reference.rows,
    currentRows: current.rows,
    columns,
    schema: {
      missing: reference.columns.map((column) => column.name).filter((name) => !present.has(name)),
      added: current.columns.map((column) => column.name).filter((name) => !known.has(name)),
      retyped: reference.columns.flatMap((column) => {
        const to = present.get(column.name)?.type;
        return to === undefined || to === column.type ? [] : [{ column: column.name, from: column.type, to }];
      }),
    },
  };
}

function columnDrift(reference: ColumnProfile, current: ColumnProfile, thresholds: DriftThresholds): ColumnDrift {
  const measures = measure(reference, current);
  const limits = thresholds.columns?.[reference.name] ?? thresholds.default ?? defaultThresholds.default;
  const crossed = Object.entries(limits).flatMap(([name, threshold]) => {
    const key = name as DriftMeasure;
    const value = measures[key];
    if (value === undefined || threshold === undefined) return [];
    const over = pValues.has(key) ? value <= threshold : value >= threshold;
    return over ? [{ measure: key, value, threshold }] : [];
  });
  const enough = Math.min(reference.rows, current.rows) >= (thresholds.minimumRows ?? defaultThresholds.minimumRows);
  const ignored = thresholds.ignore?.includes(reference.name) ?? false;
  const judgeable = Object.keys(limits).some((name) => measures[name as DriftMeasure] !== undefined);
  const outcome = ignored || !judgeable ? "not_judged" : !enough ? "too_few" : crossed.length > 0 ? "drifted" : "kept";
  return {
    column: reference.name,
    kind: reference.kind,
    outcome,
    crossed: outcome === "drifted" ? crossed : [],
    measures,
    reference: summary(reference),
    current: summary(current),
  };
}

function measure(reference: ColumnProfile, current: ColumnProfile): ColumnDrift["measures"] {
  const measures: ColumnDrift["measures"] = {
    null_share_change: Math.abs(nullShare(current) - nullShare(reference)),
  };
  const counts = comparableCounts(reference, current);
  if (counts === undefined || total(counts.reference) === 0 || total(counts.current) === 0) return measures;
  measures.psi = populationStabilityIndex(counts.reference, counts.current);
  measures.jensen_shannon = jensenShannon(counts.reference, counts.current);
  measures.kullback_leibler = kullbackLeibler(counts.reference, counts.current);
  measures.hellinger = hellinger(counts.reference, counts.current);
  measures.total_variation = totalVariation(counts.reference, counts.current);
  if (reference.kind === "boolean") {
    const [r = 0, c = 0] = [counts.reference[0], counts.current[0]];
    measures.chi_square_p = proportionTest(
      { hits: r, rows: total(counts.reference) },
      { hits: c, rows: total(counts.current) },
    ).pValue;
  } else if (reference.kind === "categorical") {
    measures.chi_square_p = chiSquare(counts.reference, counts.current).pValue;
  }
  const distance = histogramWasserstein(reference, current);
  if (distance !== undefined) measures.wasserstein = distance;
  const test = histogramKolmogorovSmirnov(reference, current);
  if (test !== undefined) measures.kolmogorov_smirnov_p = test.pValue;
  return measures;
}

function summary(column: ColumnProfile): ColumnDrift["reference"] {
  const { rows, moments } = column;
  return { rows, nullShare: nullShare(column), ...(moments === undefined ? {} : { mean: moments.mean }) };
}

function nullShare(column: ColumnProfile): number {
  return column.rows === 0 ? 0 : column.nulls / column.rows;
}

function total(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
