import type { Json, JsonObject } from "@espalier/core";
import type { TableColumn } from "../rules/table-checks.ts";
import type { RowsOf } from "../rules/validate.ts";
import type { ColumnProfile, TableProfile } from "./profile.ts";
import { categoriesSql, columnKind, edgesOf, edgesSql, type ProfileOptions, profileSql } from "./profile-sql.ts";

/** Profile of a table or view: one query, and one GROUP BY for each column of texts. */
export async function profileTable(
  rows: RowsOf,
  table: string,
  columns: readonly TableColumn[],
  options: Omit<ProfileOptions, "stratum"> = {},
): Promise<TableProfile> {
  const { profiles, edges } = await collect(rows, table, columns, options);
  return profiles.get("") ?? parseProfile({ rows: 0 }, columns, edges);
}

/** One profile for each value of the stratum; they share edges and categories, so they merge and compare. */
export async function profileStrata(
  rows: RowsOf,
  table: string,
  columns: readonly TableColumn[],
  options: ProfileOptions & { stratum: string },
): Promise<Map<string, TableProfile>> {
  return (await collect(rows, table, columns, options)).profiles;
}

async function collect(
  rows: RowsOf,
  table: string,
  columns: readonly TableColumn[],
  options: ProfileOptions,
): Promise<{ profiles: Map<string, TableProfile>; edges: ReadonlyMap<string, readonly number[]> }> {
  const edges =
    options.reference === undefined
      ? await chooseEdges(rows, table, columns, options.where)
      : edgesOf(options.reference);
  const profiles = new Map<string, TableProfile>();
  for (const row of await rows(profileSql(table, columns, edges, options))) {
    profiles.set(String(row.stratum), parseProfile(row, columns, edges));
  }
  for (const column of columns) {
    if (columnKind(column.type) !== "categorical") continue;
    addCategories(profiles, column.name, await rows(categoriesSql(table, column, options)));
  }
  return { profiles, edges };
}

/** One row of `profileSql` as a profile; categories come from their own query. */
export function parseProfile(
  row: JsonObject,
  columns: readonly TableColumn[],
  edges: ReadonlyMap<string, readonly number[]>,
): TableProfile {
  const total = number(row.rows);
  return { rows: total, columns: columns.map((column, index) => parseColumn(row, column, index, total, edges)) };
}

function parseColumn(
  row: JsonObject,
  column: TableColumn,
  index: number,
  total: number,
  edges: ReadonlyMap<string, readonly number[]>,
): ColumnProfile {
  const present = number(row[`v${index}`]);
  const kind = columnKind(column.type);
  const profile: ColumnProfile = { name: column.name, kind, type: column.type, rows: total, nulls: total - present };
  if (row[`d${index}`] !== undefined) profile.distinct = number(row[`d${index}`]);
  if (kind === "numeric") {
    const notFinite = number(row[`x${index}`]);
    const count = present - notFinite;
    if (notFinite > 0) profile.notFinite = notFinite;
    if (count > 0) {
      profile.moments = {
        count,
        mean: number(row[`m${index}`]),
        squares: number(row[`s${index}`]) * count,
        min: number(row[`lo${index}`]),
        max: number(row[`hi${index}`]),
      };
    }
    const list = edges.get(column.name) ?? [];
    if (list.length > 0) profile.histogram = parseHistogram(row[`h${index}`] ?? null, list);
  } else if (kind === "boolean") {
    const hits = number(row[`t${index}`]);
    const values = [
      { value: "true", count: hits },
      { value: "false", count: present - hits },
    ];
    profile.categories = { values, other: 0 };
  } else if (kind === "categorical") {
    profile.categories = { values: [], other: present };
  } else if (kind === "time" && typeof row[`lo${index}`] === "string") {
    profile.first = String(row[`lo${index}`]);
    profile.last = String(row[`hi${index}`]);
  }
  return profile;
}

/** DuckDB gives a map from upper edge to count; what lies above the last edge comes under infinity. */
function parseHistogram(value: Json, edges: readonly number[]): { edges: number[]; counts: number[] } {
  const counts = new Array<number>(edges.length + 1).fill(0);
  const position = new Map(edges.map((edge, index) => [edge, index]));
  for (const entry of Array.isArray(value) ? (value as JsonObject[]) : []) {
    const edge = entry.key;
    const bin = typeof edge === "number" ? position.get(edge) : undefined;
    const index = bin ?? edges.length;
    counts[index] = (counts[index] ?? 0) + number(entry.value);
  }
  return { edges: [...edges], counts };
}

function addCategories(profiles: Map<string, TableProfile>, name: string, rows: readonly JsonObject[]): void {
  const order = [...new Set(rows.map((row) => String(row.value)))];
  for (const [stratum, profile] of profiles) {
    const column = profile.columns.find((candidate) => candidate.name === name);
    if (column?.categories === undefined) continue;
    const counts = new Map(
      rows.filter((row) => row.stratum === stratum).map((row) => [String(row.value), number(row.n)]),
    );
    const values = order.map((value) => ({ value, count: counts.get(value) ?? 0 }));
    const listed = values.reduce((sum, { count }) => sum + count, 0);
    column.categories = { values, other: column.categories.other - listed };
  }
}

async function chooseEdges(
  rows: RowsOf,
  table: string,
  columns: readonly TableColumn[],
  where: string | undefined,
): Promise<Map<string, readonly number[]>> {
  const query = edgesSql(table, columns, where);
  const row = query === undefined ? {} : ((await rows(query))[0] ?? {});
  const edges = new Map<string, readonly number[]>();
  for (const [index, column] of columns.entries()) {
    const list = row[`e${index}`];
    if (Array.isArray(list))
      edges.set(
        column.name,
        [...new Set((list as Json[]).map(number))].sort((a, b) => a - b),
      );
  }
  return edges;
}

function number(value: Json | undefined): number {
  return value === null || value === undefined ? 0 : Number(value);
}
