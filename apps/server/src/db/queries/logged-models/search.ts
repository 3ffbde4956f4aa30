import { type RawBuilder, sql } from "kysely";
import type { RecordDatabase } from "../../database.ts";
import { compareDouble, compareInteger, compareText, type FilterComparison } from "../filtering.ts";
import { type LoggedModel, withLogged } from "./rows.ts";

/** Metrics that were logged with this data set; without a digest, with any version of it. */
export interface DatasetOfMetrics {
  name: string;
  digest?: string | undefined;
}

export type LoggedModelOrder = { ascending: boolean } & (
  | { column: string }
  | { metric: string; datasetName?: string | undefined; datasetDigest?: string | undefined }
);

export interface LoggedModelSearch {
  experimentIds: readonly string[];
  comparisons: readonly FilterComparison[];
  /** With any: comparisons of metrics look only at these; without such a comparison a model must have a metric of one of them. */
  datasets: readonly DatasetOfMetrics[];
  order: readonly LoggedModelOrder[];
  limit: number;
  offset: number;
}

/** Deleted models are never found. `more`: others follow. */
export async function searchLoggedModels(
  database: RecordDatabase,
  search: LoggedModelSearch,
): Promise<{ models: LoggedModel[]; more: boolean }> {
  if (search.experimentIds.length === 0) return { models: [], more: false };
  let query = database.reader
    .selectFrom("logged_models")
    .selectAll()
    .where("project_id", "=", database.projectId)
    .where("lifecycle_stage", "=", "active")
    .where("experiment_id", "in", [...search.experimentIds]);
  const datasets = datasetCondition(search.datasets);
  for (const comparison of search.comparisons) query = query.where(condition(database, comparison, datasets));
  if (search.datasets.length > 0 && !search.comparisons.some(({ entity }) => entity === "metrics")) {
    query = query.where(hasRow(database, "logged_model_metrics", datasets));
  }
  for (const term of search.order) {
    const value = "column" in term ? sql.ref(`logged_models.${term.column}`) : latestMetric(database, term);
    query = query
      .orderBy(sql`CASE WHEN ${value} IS NULL THEN 1 ELSE 0 END`)
      .orderBy(sql`${value}`, term.ascending ? "asc" : "desc");
  }
  const rows = await query
    .orderBy("creation_time", "desc")
    .orderBy("model_id")
    .limit(search.limit + 1)
    .offset(search.offset)
    .execute();
  return {
    models: await withLogged(database, database.reader, rows.slice(0, search.limit)),
    more: rows.length > search.limit,
  };
}

const times: readonly string[] = ["creation_time", "last_updated_time"];

function condition(
  database: RecordDatabase,
  comparison: FilterComparison,
  datasets: RawBuilder<boolean>,
): RawBuilder<boolean> {
  const { entity, key } = comparison;
  if (entity === "attributes") {
    const column = sql.ref(`logged_models.${key}`);
    return times.includes(key)
      ? compareInteger(column as RawBuilder<number>, comparison)
      : compareText(column as RawBuilder<string>, comparison);
  }
  if (entity === "metrics") {
    const value = compareDouble(sql<number>`value`, comparison);
    return hasRow(database, "logged_model_metrics", sql`key = ${key} AND is_nan = 0 AND ${value} AND (${datasets})`);
  }
  const table = entity === "params" ? "logged_model_params" : "logged_model_tags";
  return hasRow(database, table, sql`key = ${key} AND ${compareText(sql<string>`value`, comparison)}`);
}

function hasRow(
  { projectId }: RecordDatabase,
  table: "logged_model_metrics" | "logged_model_params" | "logged_model_tags",
  matching: RawBuilder<unknown>,
): RawBuilder<boolean> {
  return sql<boolean>`EXISTS (SELECT 1 FROM ${sql.table(table)} WHERE project_id = ${projectId}
    AND model_id = logged_models.model_id AND ${matching})`;
}

function datasetCondition(datasets: readonly DatasetOfMetrics[]): RawBuilder<boolean> {
  if (datasets.length === 0) return sql<boolean>`1 = 1`;
  const conditions = datasets.map(({ name, digest }) =>
    digest === undefined
      ? sql<boolean>`dataset_name = ${name}`
      : sql<boolean>`(dataset_name = ${name} AND dataset_digest = ${digest})`,
  );
  return sql<boolean>`(${sql.join(conditions, sql` OR `)})`;
}

/** NULL for a NaN too: both come last, whichever the direction. */
function latestMetric(
  { projectId }: RecordDatabase,
  term: { metric: string; datasetName?: string | undefined; datasetDigest?: string | undefined },
): RawBuilder<number | null> {
  const ofName = term.datasetName === undefined ? sql`` : sql`AND dataset_name = ${term.datasetName}`;
  const ofDigest = term.datasetDigest === undefined ? sql`` : sql`AND dataset_digest = ${term.datasetDigest}`;
  return sql<number | null>`(SELECT CASE WHEN is_nan = 1 THEN NULL ELSE value END FROM logged_model_metrics
    WHERE project_id = ${projectId} AND model_id = logged_models.model_id AND key = ${term.metric} ${ofName} ${ofDigest}
    ORDER BY timestamp DESC, step DESC, run_id LIMIT 1)`;
}
