import { type RawBuilder, sql } from "kysely";
import type { RecordDatabase } from "../../database.ts";
import type { RunRow } from "./run-data.ts";
import { anyOf } from "./search-run-conditions.ts";

/**
 * A run with all that is logged to it, as JSON put together by the database: fifty rows a run would cost ten times as much to carry
 * here and write as one text. Each text is the inside of a JSON list, null when there is nothing.
 */
export interface RunTexts extends RunRow {
  /** `{"key","value","timestamp","step"}`; NaN is the text "NaN", and infinities are the greatest doubles. */
  metrics: string | null;
  /** `{"key","value"}`. */
  params: string | null;
  tags: string | null;
  /** `{"tags"?,"dataset":{"name","digest","source_type","source","schema"?,"profile"?}}`. */
  dataset_inputs: string | null;
  /** `{"model_id"}`. */
  model_inputs: string | null;
  /** `{"model_id","step"}`. */
  model_outputs: string | null;
}

/** By id; those that are gone are missing. At most a few hundred at a time. */
export async function runTexts(
  database: RecordDatabase,
  ids: readonly string[],
  signal?: AbortSignal,
): Promise<Map<string, RunTexts>> {
  if (ids.length === 0) return new Map();
  const { projectId } = database;
  const quote = (column: string): RawBuilder<string> => quoted(database, column);
  const list = (item: RawBuilder<string>, from: RawBuilder<unknown>, order: string): RawBuilder<string | null> =>
    sql`(SELECT string_agg(${item}, ',' ORDER BY ${sql.raw(order)}) FROM ${from})`;
  const ofRun = (table: string): RawBuilder<unknown> =>
    sql`${sql.table(table)} AS t WHERE t.project_id = ${projectId} AND t.run_id = r.run_id`;
  const pair = sql<string>`'{"key":' || ${quote("t.key")} || ',"value":' || ${quote("t.value")} || '}'`;
  const member = (name: string, column: string): RawBuilder<string> =>
    sql`CASE WHEN ${sql.ref(column)} IS NULL THEN '' ELSE ${sql.lit(`,"${name}":`)} || ${quote(column)} END`;

  const metric = sql<string>`'{"key":' || ${quote("t.key")} || ',"value":' || ${metricValue(database)}
    || ',"timestamp":' || t.timestamp || ',"step":' || t.step || '}'`;
  const datasetTags = list(
    pair,
    sql`input_tags AS t WHERE t.project_id = ${projectId} AND t.run_id = i.run_id AND t.dataset_id = i.dataset_id`,
    "t.key",
  );
  const dataset = sql<string>`'{' || coalesce('"tags":[' || ${datasetTags} || '],', '')
    || '"dataset":{"name":' || ${quote("d.name")} || ',"digest":' || ${quote("d.digest")}
    || ',"source_type":' || ${quote("d.source_type")} || ',"source":' || ${quote("d.source")}
    || ${member("schema", "d.schema_json")} || ${member("profile", "d.profile_json")} || '}}'`;
  const datasets = sql`inputs AS i
    JOIN input_datasets AS d ON d.project_id = i.project_id AND d.dataset_id = i.dataset_id
    WHERE i.project_id = ${projectId} AND i.run_id = r.run_id`;
  const models = (way: string): RawBuilder<unknown> => sql`${ofRun("run_models")} AND t.direction = ${sql.lit(way)}`;
  const model = sql<string>`'{"model_id":' || ${quote("t.model_id")} || '}'`;
  const output = sql<string>`'{"model_id":' || ${quote("t.model_id")} || ',"step":' || t.step || '}'`;

  const { rows } = await sql<RunTexts>`SELECT run_id, experiment_id, parent_run_id, kind, run_name, user_id, status,
      lifecycle_stage, start_time, end_time, artifact_uri,
      ${list(metric, ofRun("latest_metrics"), "t.key")} AS metrics,
      ${list(pair, ofRun("params"), "t.key")} AS params,
      ${list(pair, ofRun("tags"), "t.key")} AS tags,
      ${list(dataset, datasets, "d.name, d.digest")} AS dataset_inputs,
      ${list(model, models("input"), "t.step, t.model_id")} AS model_inputs,
      ${list(output, models("output"), "t.step, t.model_id")} AS model_outputs
    FROM runs AS r WHERE r.project_id = ${projectId} AND ${anyOf(database, sql`r.run_id`, ids)}`.execute(
    database.reader,
    {
      signal,
    },
  );
  return new Map(rows.map((row) => [row.run_id, row]));
}

function quoted({ kind }: RecordDatabase, column: string): RawBuilder<string> {
  return kind === "sqlite" ? sql`json_quote(${sql.ref(column)})` : sql`CAST(to_json(${sql.ref(column)}) AS TEXT)`;
}

/** Both databases write doubles so that they are read back to the last bit. */
function metricValue(database: RecordDatabase): RawBuilder<string> {
  const greatest = sql.lit(Number.MAX_VALUE);
  return sql`CASE WHEN t.is_nan = 1 THEN '"NaN"' WHEN t.value > ${greatest} THEN ${sql.lit(String(Number.MAX_VALUE))}
    WHEN t.value < -${greatest} THEN ${sql.lit(String(-Number.MAX_VALUE))} ELSE ${quoted(database, "t.value")} END`;
}
