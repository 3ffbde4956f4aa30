import { type RawBuilder, sql } from "kysely";
import type { RecordDatabase } from "../../database.ts";
import type { FilterComparison, OrderTerm } from "../filtering.ts";
import { traceConditions } from "./search-conditions.ts";
import type { TraceDetails, TraceInfo } from "./trace.ts";

/** Where a page begins: after a trace in the usual order, or (with an order of one's own) after a number of traces. */
export type TracePlace = { requestTime: number; id: string } | { offset: number };

export interface TraceSearch {
  experimentIds: readonly string[];
  comparisons: readonly FilterComparison[];
  /** Empty: the newest first. */
  order: readonly OrderTerm[];
  limit: number;
  after: TracePlace | undefined;
}

export interface TracePage {
  traces: TraceInfo[];
  /** Absent on the last page. */
  next?: TracePlace;
}

export async function searchTraces(
  database: RecordDatabase,
  details: TraceDetails,
  search: TraceSearch,
): Promise<TracePage> {
  if (search.experimentIds.length === 0) return { traces: [] };
  const { after } = search;
  let query = database.reader
    .selectFrom("traces")
    .selectAll()
    .where("project_id", "=", database.projectId)
    .where("experiment_id", "in", [...search.experimentIds]);
  for (const condition of traceConditions(database, search.comparisons)) query = query.where(condition);
  for (const term of search.order) {
    const value = orderValue(database, term);
    query = query
      .orderBy(sql`CASE WHEN ${value} IS NULL THEN 1 ELSE 0 END`)
      .orderBy(sql`${value}`, term.ascending ? "asc" : "desc");
  }
  if (after !== undefined && "offset" in after) query = query.offset(after.offset);
  else if (after !== undefined) {
    query = query.where(
      sql<boolean>`(request_time < ${after.requestTime} OR (request_time = ${after.requestTime} AND trace_id > ${after.id}))`,
    );
  }
  const rows = await query
    .orderBy("request_time", "desc")
    .orderBy("trace_id")
    .limit(search.limit + 1)
    .execute();
  const shown = rows.slice(0, search.limit);
  const traces = await details.complete(database.reader, shown);
  const last = shown.at(-1);
  if (rows.length <= search.limit || last === undefined) return { traces };
  if (search.order.length === 0) return { traces, next: { requestTime: last.request_time, id: last.trace_id } };
  const offset = after !== undefined && "offset" in after ? after.offset : 0;
  return { traces, next: { offset: offset + search.limit } };
}

function orderValue({ projectId }: RecordDatabase, { entity, key }: OrderTerm): RawBuilder<unknown> {
  if (entity === "attribute") {
    if (key === "execution_time_ms") return sql`(traces.end_time - traces.request_time)`;
    return sql.ref(`traces.${orderColumns[key] ?? key}`);
  }
  const table = entity === "tag" ? "trace_tags" : "trace_metadata";
  return sql`(SELECT value FROM ${sql.table(table)} WHERE project_id = ${projectId} AND trace_id = traces.trace_id AND key = ${key})`;
}

const orderColumns: Readonly<Record<string, string>> = {
  timestamp_ms: "request_time",
  end_time_ms: "end_time",
  status: "state",
  request_id: "trace_id",
  experiment_id: "experiment_id",
};

export interface TraceCounts {
  first: number;
  second: number;
  both: number;
  all: number;
}

/** One look at each trace. `base`: only traces that meet it are looked at. */
export async function correlateTraces(
  database: RecordDatabase,
  experimentIds: readonly string[],
  filters: Readonly<Record<"first" | "second" | "base", readonly FilterComparison[]>>,
): Promise<TraceCounts> {
  if (experimentIds.length === 0) return { first: 0, second: 0, both: 0, all: 0 };
  const meets = (comparisons: readonly FilterComparison[]): RawBuilder<number> =>
    sql<number>`CASE WHEN ${all(traceConditions(database, comparisons))} THEN 1 ELSE 0 END`;
  const inner = database.reader
    .selectFrom("traces")
    .select([meets(filters.first).as("first"), meets(filters.second).as("second")])
    .where("project_id", "=", database.projectId)
    .where("experiment_id", "in", [...experimentIds])
    .where(all(traceConditions(database, filters.base)));
  const row = await database.reader
    .selectFrom(inner.as("each"))
    .select([
      sql<number>`coalesce(sum(first), 0)`.as("first"),
      sql<number>`coalesce(sum(second), 0)`.as("second"),
      sql<number>`coalesce(sum(first * second), 0)`.as("both"),
      sql<number>`count(*)`.as("all"),
    ])
    .executeTakeFirst();
  return {
    first: Number(row?.first ?? 0),
    second: Number(row?.second ?? 0),
    both: Number(row?.both ?? 0),
    all: Number(row?.all ?? 0),
  };
}

function all(conditions: readonly RawBuilder<boolean>[]): RawBuilder<boolean> {
  return conditions.length === 0 ? sql<boolean>`1 = 1` : sql<boolean>`(${sql.join(conditions, sql` AND `)})`;
}
