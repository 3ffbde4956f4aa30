import { type RawBuilder, sql } from "kysely";
import type { RecordDatabase } from "../database.ts";
import { compareText, type FilterComparison } from "./filtering.ts";
import { columnsOf, loggedValue, runCondition } from "./tracking/search-run-conditions.ts";

/** Attributes that only runs of pipelines have; every other one is that of the run as MLflow sees it. */
export const pipelineAttributes = {
  pipeline: "pipeline",
  state: "state",
  stack: "stack",
  trigger: "trigger_kind",
} as const;

/**
 * The comparison as a condition on `pipeline_runs`. A metric is one of an attempt of the run, or of one that a cached step came from: it is
 * enough that one has such a value. A parameter is compared as it is written, as in MLflow.
 */
export function runSearchCondition(database: RecordDatabase, comparison: FilterComparison): RawBuilder<boolean> {
  const { projectId } = database;
  const { entity, key, operator } = comparison;
  if (entity === "metric") {
    return sql<boolean>`EXISTS (SELECT 1 FROM (
        SELECT attempt_id FROM attempts WHERE project_id = ${projectId} AND run_id = pipeline_runs.run_id
        UNION ALL SELECT cached_from FROM steps WHERE project_id = ${projectId} AND run_id = pipeline_runs.run_id AND cached_from IS NOT NULL
      ) tried JOIN latest_metrics f ON f.project_id = ${projectId} AND f.run_id = tried.attempt_id AND f.key = ${key}
      WHERE ${loggedValue(columnsOf("f"), comparison)})`;
  }
  if (entity === "parameter") {
    const value = parameterText(database, key);
    if (operator === "IS NULL" || operator === "IS NOT NULL") return sql<boolean>`${value} ${sql.raw(operator)}`;
    return compareText(value, comparison);
  }
  const column = entity === "attribute" ? Reflect.get(pipelineAttributes, key) : undefined;
  if (typeof column === "string") return compareText(sql.ref<string>(`pipeline_runs.${column}`), comparison);
  return sql<boolean>`EXISTS (SELECT 1 FROM runs r WHERE r.project_id = ${projectId} AND r.run_id = pipeline_runs.run_id
    AND ${runCondition(database, comparison)})`;
}

/** Numbers and truths as JSON writes them, texts without quotes, on both databases. */
function parameterText({ kind }: RecordDatabase, name: string): RawBuilder<string> {
  const params = sql.ref("pipeline_runs.params");
  if (kind === "postgres") return sql<string>`(${params}::json ->> ${name})`;
  const path = `$."${name.replaceAll('"', '""')}"`;
  return sql<string>`CASE json_type(${params}, ${path}) WHEN 'text' THEN ${params} ->> ${path} ELSE ${params} -> ${path} END`;
}
