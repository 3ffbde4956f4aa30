import { type RawBuilder, sql } from "kysely";
import { like, type RecordDatabase } from "../../database.ts";
import { matches } from "../../pattern/matches.ts";
import { compareDouble, compareInteger, compareText, type FilterComparison } from "../filtering.ts";
import { sessionMetadata, sourceRunMetadata } from "./trace.ts";

/** Conditions on a row of `traces`, all of which must hold. Comparisons of spans must hold for one and the same span. */
export function traceConditions(
  database: RecordDatabase,
  comparisons: readonly FilterComparison[],
): RawBuilder<boolean>[] {
  const ofSpans = comparisons.filter(({ entity }) => entity === "span");
  const conditions = comparisons
    .filter(({ entity }) => entity !== "span")
    .map((comparison) => condition(database, comparison));
  return ofSpans.length === 0 ? conditions : [...conditions, spanCondition(database, ofSpans)];
}

function condition(database: RecordDatabase, comparison: FilterComparison): RawBuilder<boolean> {
  const { entity, key } = comparison;
  switch (entity) {
    case "attribute":
      return attributeCondition(database, comparison);
    case "tag":
      return pairCondition(database, "trace_tags", comparison);
    case "prompt":
      return linked(database, "prompt", String(comparison.value));
    case "request_metadata":
      // The runs that clients name in the metadata are linked when they are written.
      if (key === sourceRunMetadata && comparison.operator === "=")
        return linked(database, "run", String(comparison.value));
      return pairCondition(database, "trace_metadata", comparison);
    case "issue":
      return assessed(database, sql`kind = 'issue' AND name = ${String(comparison.value)}`);
    default:
      return assessmentCondition(database, comparison);
  }
}

const numbers: Readonly<Record<string, RawBuilder<number>>> = {
  timestamp_ms: sql<number>`traces.request_time`,
  execution_time_ms: sql<number>`(traces.end_time - traces.request_time)`,
  end_time_ms: sql<number>`coalesce(traces.end_time, traces.request_time)`,
};
const texts: Readonly<Record<string, RawBuilder<string>>> = {
  request_id: sql<string>`traces.trace_id`,
  status: sql<string>`traces.state`,
  client_request_id: sql<string>`traces.client_request_id`,
};

function attributeCondition(database: RecordDatabase, comparison: FilterComparison): RawBuilder<boolean> {
  const number = numbers[comparison.key];
  if (number !== undefined) return compareInteger(number, comparison);
  const text = texts[comparison.key];
  if (text === undefined) throw new Error(`${comparison.key} is no attribute of a trace`);
  return compare(database, text, comparison);
}

function pairCondition(
  database: RecordDatabase,
  table: "trace_tags" | "trace_metadata",
  comparison: FilterComparison,
): RawBuilder<boolean> {
  const { operator, key } = comparison;
  const asksPresence = operator === "IS NULL" || operator === "IS NOT NULL";
  const value = asksPresence ? sql`` : sql`AND ${compare(database, sql<string>`value`, comparison)}`;
  const negation = operator === "IS NULL" ? sql`NOT ` : sql``;
  return sql<boolean>`${negation}EXISTS (SELECT 1 FROM ${sql.table(table)} WHERE project_id = ${database.projectId}
    AND trace_id = traces.trace_id AND key = ${key} ${value})`;
}

function linked({ projectId }: RecordDatabase, kind: "run" | "prompt", target: string): RawBuilder<boolean> {
  return sql<boolean>`traces.trace_id IN (SELECT trace_id FROM trace_links
    WHERE project_id = ${projectId} AND kind = ${kind} AND target = ${target})`;
}

function assessed({ projectId }: RecordDatabase, matching: RawBuilder<unknown>): RawBuilder<boolean> {
  return sql<boolean>`EXISTS (SELECT 1 FROM assessments WHERE project_id = ${projectId}
    AND trace_id = traces.trace_id AND ${matching})`;
}

/** Of the trace itself, or of the session it belongs to. */
function assessmentCondition(database: RecordDatabase, comparison: FilterComparison): RawBuilder<boolean> {
  const { projectId } = database;
  const { entity, key, operator } = comparison;
  const isOfNumbers = [">", ">=", "<", "<="].includes(operator);
  const asksPresence = operator === "IS NULL" || operator === "IS NOT NULL";
  const value = asksPresence
    ? sql`1 = 1`
    : isOfNumbers
      ? compareDouble(sql<number>`assessments.number`, comparison)
      : compare(database, sql<string>`assessments.value`, comparison);
  const matching = sql`kind = ${entity} AND name = ${key} AND valid = 1 AND ${value}`;
  const found = sql<boolean>`(${assessed(database, matching)} OR EXISTS (SELECT 1 FROM trace_metadata AS own
    WHERE own.project_id = ${projectId} AND own.trace_id = traces.trace_id AND own.key = ${sessionMetadata} AND own.value IN (
      SELECT session FROM assessments WHERE project_id = ${projectId} AND session <> '' AND ${matching})))`;
  return operator === "IS NULL" ? sql<boolean>`NOT ${found}` : found;
}

function spanCondition(database: RecordDatabase, comparisons: readonly FilterComparison[]): RawBuilder<boolean> {
  const conditions = comparisons.map((comparison) => {
    const { key } = comparison;
    if (key.startsWith("attributes.")) return spanAttribute(database, key.slice("attributes.".length), comparison);
    return compare(database, sql.ref(`spans.${key}`) as RawBuilder<string>, comparison);
  });
  return sql<boolean>`EXISTS (SELECT 1 FROM spans WHERE project_id = ${database.projectId}
    AND trace_id = traces.trace_id AND ${sql.join(conditions, sql` AND `)})`;
}

/** The attribute's value as text: of a text itself, of anything else its JSON. */
function spanAttribute(database: RecordDatabase, name: string, comparison: FilterComparison): RawBuilder<boolean> {
  // Parsing is dear: only a span whose text names the attribute is looked into.
  const named = like(sql<string>`spans.content`, `%"key":${JSON.stringify(name).replaceAll(/[\\%_]/g, "\\$&")}%`);
  const isPostgres = database.kind === "postgres";
  const each = isPostgres
    ? sql`json_array_elements(CAST(spans.content AS json) -> 'attributes') AS attribute (value)`
    : sql`json_each(spans.content, '$.attributes') AS attribute`;
  const value = isPostgres
    ? sql<string>`coalesce(attribute.value -> 'value' ->> 'string_value', CAST(attribute.value -> 'value' -> 'int_value' AS text),
        CAST(attribute.value -> 'value' -> 'double_value' AS text), CAST(attribute.value -> 'value' -> 'bool_value' AS text),
        CAST(attribute.value -> 'value' AS text))`
    : sql<string>`coalesce(attribute.value ->> '$.value.string_value', attribute.value -> '$.value.int_value',
        attribute.value -> '$.value.double_value', attribute.value -> '$.value.bool_value', attribute.value -> '$.value')`;
  return sql<boolean>`(${named} AND EXISTS (SELECT 1 FROM ${each}
    WHERE ${isPostgres ? sql`attribute.value ->> 'key'` : sql`attribute.value ->> '$.key'`} = ${name} AND ${compare(database, value, comparison)}))`;
}

function compare(
  database: RecordDatabase,
  column: RawBuilder<string>,
  comparison: FilterComparison,
): RawBuilder<boolean> {
  if (comparison.operator === "RLIKE") return matches(database, column, String(comparison.value));
  return compareText(column, comparison);
}
