import type { JsonObject } from "@espalier/core";
import {
  type ColumnDrift,
  driftReport,
  literal,
  matchStrata,
  mergeProfiles,
  profileStrata,
  type TableProfile,
} from "@espalier/quality";
import { insufficient, type Judgement } from "./judgement.ts";
import type { DriftSettings } from "./monitor-settings.ts";
import { columnsOf, type ServedShare, type TrafficDatabase } from "./traffic.ts";

export interface DriftPorts {
  /** Local Parquet file of the reference table of a version. */
  referenceTable(served: ServedShare, reference: string): Promise<string>;
  /** Inputs of the version's model that can be judged: not tensors, and not what the endpoint's capture drops or hashes. */
  modelInputs(served: ServedShare, endpoint: string): Promise<string[]>;
  /** Profiles of references by file and settings: a reference never changes. */
  profiles: Map<string, ReadonlyMap<string, TableProfile>>;
}

/** Compares the view `traffic` with the table that the serving version was trained on. */
export async function judgeDrift(
  database: TrafficDatabase,
  settings: DriftSettings,
  served: ServedShare,
  rows: number,
  ports: DriftPorts,
): Promise<Judgement> {
  const options = settings.with;
  if (rows < options.min_rows) {
    return insufficient(rows, `There are ${rows} predictions, ${options.min_rows} are needed.`);
  }
  const judged = options.columns ?? (await ports.modelInputs(served, settings.endpoint));
  const names = [...new Set([...judged, ...options.report_only])];
  const reference = await referenceProfiles(database, settings, served, names, ports);
  const current = await profileStrata(rowsOf(database), "traffic", await columnsOf(database, "traffic", names), {
    reference: mergeProfiles([...reference.values()].map((profile) => ({ profile }))),
    stratum: stratumOf(settings),
  });
  const matched = matchStrata(reference, current);
  const report = driftReport(matched.reference, matched.current, {
    default: dropUndefined(settings.thresholds),
    ignore: options.report_only,
    minimumRows: options.min_rows,
  });
  const drifted = report.columns.filter((column) => column.outcome === "drifted");
  return {
    outcome: drifted.length > 0 ? "crossed" : "kept",
    summary: drifted.length > 0 ? drifted.map(sentence).join(" ") : calmSentence(report.columns),
    rows,
    served: `${served.model}@${served.version}`,
    results: {
      reference: options.reference,
      referenceRows: Math.round(report.referenceRows),
      likeWithLike: options.like_with_like ?? null,
      unmatched: matched.unmatched,
      columns: report.columns.map(shown),
    },
  };
}

async function referenceProfiles(
  database: TrafficDatabase,
  settings: DriftSettings,
  served: ServedShare,
  names: readonly string[],
  ports: DriftPorts,
): Promise<ReadonlyMap<string, TableProfile>> {
  const path = await ports.referenceTable(served, settings.with.reference);
  const stratum = stratumOf(settings);
  const key = JSON.stringify([path, names, stratum]);
  const known = ports.profiles.get(key);
  if (known !== undefined) return known;
  await database.run(`CREATE OR REPLACE TEMP VIEW reference AS SELECT * FROM read_parquet(${literal(path)})`);
  const columns = await columnsOf(database, "reference", names);
  const profiles = await profileStrata(rowsOf(database), "reference", columns, { stratum });
  ports.profiles.set(key, profiles);
  return profiles;
}

/** The stratum of everything when nothing is compared like with like. */
function stratumOf({ with: options }: DriftSettings): string {
  if (options.like_with_like === undefined) return "'all'";
  const column = `"${options.like_with_like.replaceAll('"', '""')}"`;
  // A number may be FLOAT in one table and DOUBLE or INTEGER in the other: its text must be the same.
  return `coalesce(CAST(TRY_CAST(${column} AS DOUBLE) AS VARCHAR), CAST(${column} AS VARCHAR))`;
}

function rowsOf(database: TrafficDatabase): (sql: string) => Promise<JsonObject[]> {
  return (sql) => database.rows(sql);
}

function sentence(column: ColumnDrift): string {
  const crossed = column.crossed
    .map(({ measure, value, threshold }) => `${measure} is ${value.toFixed(3)}, the threshold ${threshold}`)
    .join("; ");
  const means =
    column.reference.mean === undefined || column.current.mean === undefined
      ? ""
      : ` (mean ${column.current.mean.toPrecision(3)}, reference ${column.reference.mean.toPrecision(3)})`;
  return `\`${column.column}\`: ${crossed}${means}.`;
}

function calmSentence(columns: readonly ColumnDrift[]): string {
  const judged = columns.filter((column) => column.outcome === "kept");
  const most = judged.reduce<ColumnDrift | undefined>(
    (top, column) => ((column.measures.psi ?? 0) > (top?.measures.psi ?? -1) ? column : top),
    undefined,
  );
  if (most === undefined) return "No column could be judged.";
  return `No column moved beyond its threshold; \`${most.column}\` moved most, psi ${(most.measures.psi ?? 0).toFixed(3)}.`;
}

function shown(column: ColumnDrift): JsonObject {
  return {
    column: column.column,
    outcome: column.outcome,
    crossed: column.crossed.map((crossing) => ({ ...crossing })),
    measures: Object.fromEntries(
      Object.entries(column.measures).filter((entry): entry is [string, number] => Number.isFinite(entry[1])),
    ),
    referenceMean: column.reference.mean ?? null,
    currentMean: column.current.mean ?? null,
  };
}

function dropUndefined(thresholds: DriftSettings["thresholds"]): Record<string, number> {
  return Object.fromEntries(
    Object.entries(thresholds).filter((entry): entry is [string, number] => entry[1] !== undefined),
  );
}
