import { type RawBuilder, sql } from "kysely";
import type { RecordDatabase } from "../../database.ts";
import { compareDouble, compareInteger, compareText, type FilterComparison } from "../filtering.ts";
import { artifactRoot, type LifecycleStage } from "./experiments.ts";

type Condition = RawBuilder<boolean>;

/** What a search of runs is about before any filter; the runs are `r`. */
export interface RunScope {
  experimentIds: readonly string[];
  stages: readonly LifecycleStage[];
}

const datasetContext = "mlflow.data.context";

export const loggedTables = { metric: "latest_metrics", parameter: "params", tag: "tags" } as const;
export type LoggedEntity = keyof typeof loggedTables;

export function isLogged(entity: string): entity is LoggedEntity {
  return Object.hasOwn(loggedTables, entity);
}

/** Runs of pipelines are made without an artifact URI; this is what they are shown with. */
export const artifactUri = sql<string>`coalesce(r.artifact_uri, ${sql.lit(artifactRoot)} || r.experiment_id || '/' || r.run_id || '/artifacts')`;

export function inScope(database: RecordDatabase, { experimentIds, stages }: RunScope): Condition {
  return sql<boolean>`r.project_id = ${database.projectId} AND ${anyOf(database, sql`r.experiment_id`, experimentIds)}
    AND ${anyOf(database, sql`r.lifecycle_stage`, stages)}`;
}

/** The comparison as a condition on `r`. */
export function runCondition(database: RecordDatabase, comparison: FilterComparison): Condition {
  const { entity, key, operator } = comparison;
  if (isLogged(entity)) {
    const rows = sql`SELECT 1 FROM ${sql.table(loggedTables[entity])} f
      WHERE f.project_id = ${database.projectId} AND f.run_id = r.run_id AND f.key = ${key}`;
    if (operator === "IS NULL") return sql<boolean>`NOT EXISTS (${rows})`;
    return sql<boolean>`EXISTS (${rows} AND ${loggedValue(plain(database, "f"), comparison)})`;
  }
  if (entity === "dataset") return datasetCondition(database, comparison);
  if (key === "start_time" || key === "end_time") return compareInteger(sql.ref(`r.${key}`), comparison);
  return compareText(key === "artifact_uri" ? artifactUri : sql.ref(`r.${key}`), comparison);
}

/** Columns of a table, as an index may hold them. */
export const columnsOf =
  (alias: string) =>
  (name: string): RawBuilder<unknown> =>
    sql.ref(`${alias}.${name}`);

/**
 * Columns that no index is used for. SQLite makes a join of an EXISTS, and without statistics takes the index by value for it: all rows
 * above a bound, anew for each run, instead of the one row of the run.
 */
function plain({ kind }: RecordDatabase, alias: string): (name: string) => RawBuilder<unknown> {
  const column = columnsOf(alias);
  return kind === "sqlite" ? (name) => sql`+${column(name)}` : column;
}

/** The comparison as a condition on one row of what is logged under the key. NaN is unlike every number, and nothing else. */
export function loggedValue(column: (name: string) => RawBuilder<unknown>, comparison: FilterComparison): Condition {
  if (comparison.operator === "IS NOT NULL") return sql<boolean>`1 = 1`;
  if (comparison.entity !== "metric") return compareText(column("value") as RawBuilder<string>, comparison);
  const value = compareDouble(column("value") as RawBuilder<number>, comparison);
  const isNan = column("is_nan");
  return comparison.operator === "!=" ? sql`(${isNan} = 1 OR ${value})` : sql`(${isNan} = 0 AND ${value})`;
}

function datasetCondition({ projectId }: RecordDatabase, comparison: FilterComparison): Condition {
  if (comparison.key === "context") {
    return sql<boolean>`EXISTS (SELECT 1 FROM input_tags f WHERE f.project_id = ${projectId} AND f.run_id = r.run_id
      AND f.key = ${datasetContext} AND ${compareText(sql.ref("f.value"), comparison)})`;
  }
  return sql<boolean>`EXISTS (SELECT 1 FROM inputs i
    JOIN input_datasets f ON f.project_id = i.project_id AND f.dataset_id = i.dataset_id
    WHERE i.project_id = ${projectId} AND i.run_id = r.run_id AND ${compareText(sql.ref(`f.${comparison.key}`), comparison)})`;
}

/** However many values there are, they are one parameter. */
export function anyOf({ kind }: RecordDatabase, column: RawBuilder<unknown>, values: readonly string[]): Condition {
  const [only] = values;
  // With one value an index gives the rows in order; with several it could not.
  if (values.length === 1 && only !== undefined) return sql<boolean>`${column} = ${only}`;
  return kind === "sqlite"
    ? sql<boolean>`${column} IN (SELECT value FROM json_each(${JSON.stringify(values)}))`
    : sql<boolean>`${column} = ANY(${values})`;
}
