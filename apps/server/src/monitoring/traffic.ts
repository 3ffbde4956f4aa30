import { EspalierError, type JsonObject } from "@espalier/core";
import { identifier, literal, type TableColumn } from "@espalier/quality";
import type { TimeWindow } from "./windows.ts";

/** The slice of DuckDB that monitors use. */
export interface TrafficDatabase {
  run(sql: string): Promise<void>;
  rows(sql: string): Promise<JsonObject[]>;
  batches(sql: string): AsyncIterable<Readonly<Record<string, readonly unknown[]>>>;
  close(): Promise<void>;
}

/** Parquet files of an endpoint: captured predictions, and labels (`prediction_id`, `label`, `arrived_at`). */
export interface TrafficFiles {
  captured: readonly string[];
  labels: readonly string[];
}

/** First and last event on record; undefined without any. */
export async function eventSpan(
  database: TrafficDatabase,
  files: TrafficFiles,
): Promise<{ first: number; last: number } | undefined> {
  if (files.captured.length === 0) return undefined;
  const [row] = await database.rows(
    `SELECT epoch_ms(min(event_time)) AS first, epoch_ms(max(event_time)) AS last FROM ${parquet(files.captured)}`,
  );
  return typeof row?.first === "number" && typeof row.last === "number"
    ? { first: row.first, last: row.last }
    : undefined;
}

/** Makes the view `traffic`: the window's predictions, each once, though a replay after a crash captured some of them twice. */
export async function viewTraffic(database: TrafficDatabase, files: TrafficFiles, window: TimeWindow): Promise<void> {
  const key = JSON.stringify([files.captured, window]);
  const tables = madeTables(database);
  if (tables.get("traffic") === key) return;
  tables.clear();
  await database.run(
    `CREATE OR REPLACE TEMP TABLE traffic AS SELECT * FROM ${parquet(files.captured)}
     WHERE event_time >= ${timestamp(window.start)} AND event_time < ${timestamp(window.end)}
     QUALIFY row_number() OVER (PARTITION BY prediction_id ORDER BY served_at, event_time, version) = 1`,
  );
  tables.set("traffic", key);
}

/**
 * Makes the table `labelled`: score, label and day of the predictions in `traffic` whose label had arrived. A label that came again
 * corrects the one before, so the last to arrive counts, the larger one of two that arrived together.
 */
export async function joinLabels(database: TrafficDatabase, files: TrafficFiles, asOf: number): Promise<void> {
  const key = JSON.stringify([files.labels, asOf]);
  const tables = madeTables(database);
  if (tables.get("labelled") === key) return;
  const labels =
    files.labels.length === 0
      ? "(SELECT NULL::VARCHAR AS prediction_id, NULL::DOUBLE AS label, NULL::TIMESTAMP AS arrived_at WHERE false)"
      : parquet(files.labels);
  await database.run(
    `CREATE OR REPLACE TEMP TABLE labelled AS
     SELECT CAST(traffic.score AS DOUBLE) AS score, CAST(l.label AS DOUBLE) AS label, CAST(traffic.event_time AS DATE) AS day
     FROM traffic JOIN (SELECT prediction_id, arg_max(label, (arrived_at, label)) AS label FROM ${labels}
       WHERE arrived_at <= ${timestamp(asOf)} GROUP BY prediction_id) l USING (prediction_id)
     WHERE traffic.score IS NOT NULL AND l.label IS NOT NULL`,
  );
  tables.set("labelled", key);
}

/** What the tables of a database were made of: monitors of one endpoint look at the same windows. */
const made = new WeakMap<TrafficDatabase, Map<string, string>>();

function madeTables(database: TrafficDatabase): Map<string, string> {
  const known = made.get(database) ?? new Map<string, string>();
  made.set(database, known);
  return known;
}

export interface ServedShare {
  model: string;
  version: number;
  rows: number;
}

/** Versions that served the view `traffic`, the one with most rows first. */
export async function servedVersions(database: TrafficDatabase): Promise<ServedShare[]> {
  const rows = await database.rows(
    "SELECT model, version, count(*) AS n FROM traffic GROUP BY ALL ORDER BY n DESC, model, version",
  );
  return rows.map((row) => ({ model: String(row.model), version: Number(row.version), rows: Number(row.n) }));
}

/** Name and type of these columns of a table; INVALID_DATA names one that is not there. */
export async function columnsOf(
  database: TrafficDatabase,
  table: string,
  names: readonly string[],
): Promise<TableColumn[]> {
  const described = await database.rows(`DESCRIBE SELECT * FROM ${identifier(table)}`);
  return names.map((name) => {
    const found = described.find((row) => row.column_name === name);
    if (found === undefined) {
      throw new EspalierError("INVALID_DATA", `The ${table} has no column \`${name}\``, {
        at: name,
        hint: `It has: ${described.map((row) => row.column_name).join(", ")}.`,
      });
    }
    return { name, type: String(found.column_type) };
  });
}

export function parquet(paths: readonly string[]): string {
  return `read_parquet([${paths.map(literal).join(", ")}], union_by_name = true)`;
}

export function timestamp(milliseconds: number): string {
  return `make_timestamp(${Math.round(milliseconds)} * 1000)`;
}
