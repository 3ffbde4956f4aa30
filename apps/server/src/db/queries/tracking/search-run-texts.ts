import { type RawBuilder, sql } from "kysely";
import type { RecordDatabase } from "../../database.ts";
import type { RunRow } from "./run-data.ts";
import { anyOf } from "./search-run-conditions.ts";

/**
 * A run with all that is logged to it, as JSON put together by the database: to carry fifty rows a run here and write them would cost
 * several times as much. Each text is a JSON list.
 */
export interface RunTexts extends RunRow {
  /** `{"key","value","timestamp","step"}`; NaN is the text "NaN", and infinities are the greatest doubles. */
  metrics: string;
  /** `{"key","value"}`. */
  params: string;
  tags: string;
  /** `{"tags"?,"dataset":{"name","digest","source_type","source","schema"?,"profile"?}}`. */
  dataset_inputs: string;
  /** `{"model_id"}`. */
  model_inputs: string;
  /** `{"model_id","step"}`. */
  model_outputs: string;
}

/** In the order of the ids; those that are gone are missing. At most some hundred at a time. */
export async function runTexts(
  database: RecordDatabase,
  ids: readonly string[],
  signal?: AbortSignal,
): Promise<RunTexts[]> {
  if (ids.length === 0) return [];
  const { projectId } = database;
  const { object, list, listByKey } = jsonOf(database);
  const ofRun = (table: string): RawBuilder<unknown> =>
    sql`${sql.table(table)} AS t WHERE t.project_id = ${projectId} AND t.run_id = r.run_id`;
  const models = (way: string): RawBuilder<unknown> => sql`${ofRun("run_models")} AND t.direction = ${sql.lit(way)}`;
  const column = (name: string): RawBuilder<unknown> => sql.ref(`t.${name}`);
  const pair = object({ key: column("key"), value: column("value") });
  const metric = object({
    key: column("key"),
    value: metricValue(database),
    timestamp: column("timestamp"),
    step: column("step"),
  });
  const model = object({ model_id: column("model_id") });
  const output = object({ model_id: column("model_id"), step: column("step") });
  const { rows } = await sql<RunTexts>`SELECT run_id, experiment_id, parent_run_id, kind, run_name, user_id, status,
      lifecycle_stage, start_time, end_time, artifact_uri,
      ${listByKey(metric, ofRun("latest_metrics"))} AS metrics,
      ${listByKey(pair, ofRun("params"))} AS params,
      ${listByKey(pair, ofRun("tags"))} AS tags,
      ${datasetInputs(database)} AS dataset_inputs,
      ${list(model, models("input"), "t.step, t.model_id")} AS model_inputs,
      ${list(output, models("output"), "t.step, t.model_id")} AS model_outputs
    FROM runs AS r WHERE r.project_id = ${projectId} AND ${anyOf(database, sql`r.run_id`, ids)}`.execute(
    database.reader,
    {
      signal,
    },
  );
  const found = new Map(rows.map((row) => [row.run_id, row]));
  return ids.flatMap((id) => found.get(id) ?? []);
}

interface Json {
  object(members: Readonly<Record<string, RawBuilder<unknown>>>): RawBuilder<unknown>;
  /** The text of a list of the items, `[]` when there are none. */
  list(item: RawBuilder<unknown>, from: RawBuilder<unknown>, order: string): RawBuilder<string>;
  /** As `list`, in the order of the primary key, which SQLite walks anyway: a sort would cost half as much again. */
  listByKey(item: RawBuilder<unknown>, from: RawBuilder<unknown>): RawBuilder<string>;
}

function jsonOf({ kind }: RecordDatabase): Json {
  const [object, aggregate] =
    kind === "sqlite" ? ["json_object", "json_group_array"] : ["json_build_object", "json_agg"];
  const list: Json["list"] = (item, from, order) => {
    const sorted = order === "" ? sql`` : sql`ORDER BY ${sql.raw(order)}`;
    return sql`coalesce((SELECT CAST(${sql.raw(aggregate)}(${item} ${sorted}) AS TEXT) FROM ${from}), '[]')`;
  };
  return {
    object: (members) => {
      const parts = Object.entries(members).map(([name, value]) => sql`${sql.lit(name)}, ${value}`);
      return sql`${sql.raw(object)}(${sql.join(parts)})`;
    },
    list,
    listByKey: (item, from) => list(item, from, kind === "sqlite" ? "" : "t.key"),
  };
}

/** Both databases write doubles so that they are read back to the last bit. */
function metricValue({ kind }: RecordDatabase): RawBuilder<unknown> {
  const asJson = (value: RawBuilder<unknown>): RawBuilder<unknown> =>
    kind === "sqlite" ? value : sql`to_json(CAST(${value} AS DOUBLE PRECISION))`;
  const nan = kind === "sqlite" ? sql`'NaN'` : sql`to_json(CAST('NaN' AS TEXT))`;
  const greatest = sql.lit(Number.MAX_VALUE);
  return sql`CASE WHEN t.is_nan = 1 THEN ${nan} WHEN t.value > ${greatest} THEN ${asJson(greatest)}
    WHEN t.value < -${greatest} THEN ${asJson(sql`-${greatest}`)} ELSE ${asJson(sql`t.value`)} END`;
}

/** Members that a data set lacks are left out, which `json_object` can not do. */
function datasetInputs({ kind, projectId }: RecordDatabase): RawBuilder<string> {
  const quote = (column: string): RawBuilder<string> =>
    kind === "sqlite" ? sql`json_quote(${sql.ref(column)})` : sql`CAST(to_json(${sql.ref(column)}) AS TEXT)`;
  const member = (name: string, column: string): RawBuilder<string> =>
    sql`CASE WHEN ${sql.ref(column)} IS NULL THEN '' ELSE ${sql.lit(`,"${name}":`)} || ${quote(column)} END`;
  const tags = sql`(SELECT string_agg('{"key":' || ${quote("t.key")} || ',"value":' || ${quote("t.value")} || '}', ','
      ORDER BY t.key) FROM input_tags AS t
    WHERE t.project_id = ${projectId} AND t.run_id = i.run_id AND t.dataset_id = i.dataset_id)`;
  return sql`'[' || coalesce((SELECT string_agg('{' || coalesce('"tags":[' || ${tags} || '],', '')
      || '"dataset":{"name":' || ${quote("d.name")} || ',"digest":' || ${quote("d.digest")}
      || ',"source_type":' || ${quote("d.source_type")} || ',"source":' || ${quote("d.source")}
      || ${member("schema", "d.schema_json")} || ${member("profile", "d.profile_json")} || '}}', ',' ORDER BY d.name, d.digest)
    FROM inputs AS i JOIN input_datasets AS d ON d.project_id = i.project_id AND d.dataset_id = i.dataset_id
    WHERE i.project_id = ${projectId} AND i.run_id = r.run_id), '') || ']'`;
}
