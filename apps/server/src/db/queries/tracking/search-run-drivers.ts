import { type RawBuilder, sql } from "kysely";
import type { RecordDatabase } from "../../database.ts";
import { compareText, type FilterComparison } from "../filtering.ts";
import {
  columnsOf,
  inScope,
  isLogged,
  type LoggedEntity,
  loggedTables,
  loggedValue,
  type RunScope,
} from "./search-run-conditions.ts";

/**
 * Where a search begins: `FROM from WHERE where` is every run `r` that one comparison (or the scope) can keep. `rows` counts the same
 * without looking at the runs.
 */
export interface Driver {
  from: RawBuilder<unknown>;
  where: RawBuilder<boolean>;
  rows: RawBuilder<unknown>;
  /** The ids of the same, where it is a comparison of something logged. */
  ids?: RawBuilder<unknown>;
  /** The comparison that need not be made again. */
  comparison?: FilterComparison;
}

const indexes: Readonly<Record<LoggedEntity, string>> = {
  metric: "latest_metrics_by_value",
  parameter: "params_by_value",
  tag: "tags_by_value",
};

/** Texts are cut in their index. */
const indexedCharacters = 64;
const indexedText = (column: RawBuilder<unknown>): RawBuilder<string> =>
  sql`substr(${column}, 1, ${sql.lit(indexedCharacters)})`;

/** SQLite is told the index, for its planner does not know how many rows a value keeps; PostgreSQL's does. */
export function indexedBy({ kind }: RecordDatabase, index: string): RawBuilder<unknown> {
  return kind === "sqlite" ? sql`INDEXED BY ${sql.ref(index)}` : sql``;
}

export function scopeDriver(database: RecordDatabase, scope: RunScope): Driver {
  const from = sql`runs AS r ${indexedBy(database, "runs_by_experiment")}`;
  const where = inScope(database, scope);
  return { from, where, rows: sql`SELECT 1 FROM ${from} WHERE ${where}` };
}

/** One for each comparison that an index can answer. */
export function filterDrivers(database: RecordDatabase, filter: readonly FilterComparison[]): Driver[] {
  return filter.flatMap((comparison) => {
    const { entity, operator, key } = comparison;
    if (entity === "attribute" && key === "run_id" && (operator === "=" || operator === "IN")) {
      return [idDriver(database, comparison)];
    }
    if (!isLogged(entity)) return [];
    const isRange = entity === "metric" && operator !== "!=";
    const isKept = isRange || operator === "=" || operator === "IS NOT NULL";
    return isKept && operator !== "IS NULL" ? [loggedDriver(database, entity, comparison)] : [];
  });
}

function idDriver(database: RecordDatabase, comparison: FilterComparison): Driver {
  const from = sql`runs AS r ${indexedBy(database, "runs_by_id")}`;
  const where = sql<boolean>`r.project_id = ${database.projectId} AND ${compareText(sql.ref("r.run_id"), comparison)}`;
  return { from, where, rows: sql`SELECT 1 FROM ${from} WHERE ${where}`, comparison };
}

function loggedDriver(database: RecordDatabase, entity: LoggedEntity, comparison: FilterComparison): Driver {
  const rows = loggedRows(database, entity, "d", comparison.key);
  const where = sql<boolean>`${rows.where} AND ${driverCondition(entity, comparison)}`;
  return {
    from: withRuns(database, rows.from),
    where: sql<boolean>`${where} AND r.project_id = ${database.projectId} AND r.run_id = d.run_id`,
    rows: sql`SELECT 1 FROM ${rows.from} WHERE ${where}`,
    ids: sql`SELECT d.run_id FROM ${rows.from} WHERE ${where}`,
    comparison,
  };
}

function driverCondition(entity: LoggedEntity, comparison: FilterComparison): RawBuilder<boolean> {
  const value = loggedValue(columnsOf("d"), comparison);
  if (entity === "metric" || comparison.operator !== "=") return value;
  const text = String(comparison.value);
  const cut = sql<boolean>`${indexedText(sql.ref("d.value"))} = ${indexedText(sql`${text}`)}`;
  // What is shorter than the cut is whole in the index, and the row itself need not be read.
  return text.length < indexedCharacters ? cut : sql<boolean>`${cut} AND ${value}`;
}

/** What is logged under a key, along the index by value. */
function loggedRows(
  database: RecordDatabase,
  entity: LoggedEntity,
  alias: string,
  key: string,
): { from: RawBuilder<unknown>; where: RawBuilder<boolean> } {
  return {
    from: sql`${sql.table(loggedTables[entity])} ${sql.raw(`AS ${alias}`)} ${indexedBy(database, indexes[entity])}`,
    where: sql<boolean>`${sql.ref(`${alias}.project_id`)} = ${database.projectId} AND ${sql.ref(`${alias}.key`)} = ${key}`,
  };
}

/** CROSS JOIN keeps SQLite from turning the two around. */
function withRuns(database: RecordDatabase, from: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`${from} CROSS JOIN runs AS r ${indexedBy(database, "runs_by_id")}`;
}

/** Runs that have a value under the key, in the order of the value. `o0` is what is logged, and `rows` it without the runs. */
export interface Walk {
  from: RawBuilder<unknown>;
  where: RawBuilder<boolean>;
  rows: { from: RawBuilder<unknown>; where: RawBuilder<boolean> };
  /** A value as the index has it. */
  indexed: (value: RawBuilder<unknown>) => RawBuilder<unknown>;
}

export function loggedWalk(database: RecordDatabase, entity: LoggedEntity, key: string, isNan: boolean): Walk {
  const { from, where } = loggedRows(database, entity, "o0", key);
  const ofRun = sql<boolean>`r.project_id = ${database.projectId} AND r.run_id = o0.run_id`;
  const values = entity === "metric" ? sql<boolean>`${where} AND o0.is_nan = ${sql.lit(isNan ? 1 : 0)}` : where;
  return {
    from: withRuns(database, from),
    where: sql<boolean>`${values} AND ${ofRun}`,
    rows: { from, where: values },
    indexed: entity === "metric" ? (value) => value : indexedText,
  };
}
