import { type RawBuilder, sql } from "kysely";
import type { RecordDatabase } from "../../database.ts";
import type { OrderTerm } from "../filtering.ts";
import { artifactUri, isLogged, loggedTables } from "./search-run-conditions.ts";

/** 0: a value, 1: NaN, 2: none. In this order always, ascending or not. */
export type ValueClass = 0 | 1 | 2;
export type SortValue = string | number | bigint | null;
/** Of each sort column the class and the value of one run. */
export type RunPosition = readonly { class: ValueClass; value: SortValue }[];

/** One column that runs are sorted by. */
export interface SortColumn {
  value: RawBuilder<SortValue>;
  kind: "text" | "integer" | "double";
  /** Left out where every run has a value. */
  class?: RawBuilder<ValueClass>;
  ascending: boolean;
  /** What brings the value in, behind `FROM runs r`. */
  join?: RawBuilder<unknown>;
}

/** All columns that decide the order: those asked for, then the latest start and, of equal ones, the smallest id. */
export function sortColumns(database: RecordDatabase, terms: readonly OrderTerm[]): SortColumn[] {
  const byStart = terms.some(({ entity, key }) => entity === "attribute" && key === "start_time");
  return [
    ...terms.map((term, index) => sortColumn(database, term, `o${index}`)),
    ...(byStart ? [] : [{ value: sql.ref<number>("r.start_time"), kind: "integer" as const, ascending: false }]),
    { value: sql.ref<string>("r.run_id"), kind: "text", ascending: true },
  ];
}

function sortColumn(database: RecordDatabase, { entity, key, ascending }: OrderTerm, alias: string): SortColumn {
  if (isLogged(entity)) {
    const value = sql.ref<SortValue>(`${alias}.value`);
    const nan = entity === "metric" ? sql`WHEN ${sql.ref(`${alias}.is_nan`)} = 1 THEN 1` : sql``;
    return {
      value,
      kind: entity === "metric" ? "double" : "text",
      class: sql`CASE WHEN ${value} IS NULL THEN 2 ${nan} ELSE 0 END`,
      ascending,
      join: sql`LEFT JOIN ${sql.table(loggedTables[entity])} ${sql.raw(`AS ${alias}`)}
        ON ${sql.ref(`${alias}.project_id`)} = ${database.projectId} AND ${sql.ref(`${alias}.run_id`)} = r.run_id
        AND ${sql.ref(`${alias}.key`)} = ${key}`,
    };
  }
  const value = key === "artifact_uri" ? artifactUri : sql.ref<SortValue>(`r.${key}`);
  if (key === "start_time") return { value, kind: "integer", ascending };
  if (key !== "end_time") return { value, kind: "text", ascending };
  return { value, kind: "integer", class: sql`CASE WHEN r.end_time IS NULL THEN 2 ELSE 0 END`, ascending };
}

export function joins(columns: readonly SortColumn[]): RawBuilder<unknown> {
  const found = columns.flatMap(({ join }) => (join === undefined ? [] : [join]));
  return found.length === 0 ? sql`` : sql.join(found, sql` `);
}

export function direction({ ascending }: { ascending: boolean }): RawBuilder<unknown> {
  return ascending ? sql`ASC` : sql`DESC`;
}

export function orderBy(columns: readonly SortColumn[]): RawBuilder<unknown> {
  return sql.join(
    columns.flatMap((column) => {
      const value = sql`${column.value} ${direction(column)}`;
      return column.class === undefined ? [value] : [column.class, value];
    }),
  );
}

/** True of the runs behind the position, in the order of the columns. */
export function behind(columns: readonly SortColumn[], position: RunPosition): RawBuilder<boolean> {
  const [column, ...otherColumns] = columns;
  const [place, ...otherPlaces] = position;
  if (column === undefined || place === undefined) return sql<boolean>`1 = 0`;
  const rest = behind(otherColumns, otherPlaces);
  const { value } = column;
  const beyond = column.ascending ? sql`>` : sql`<`;
  const further =
    place.class === 0
      ? sql<boolean>`(${value} ${beyond} ${place.value} OR (${value} = ${place.value} AND ${rest}))`
      : rest;
  if (column.class === undefined) return further;
  const at = sql.lit(place.class);
  return sql`(${column.class} > ${at} OR (${column.class} = ${at} AND ${further}))`;
}

/** The run's position as columns c0, v0, c1, v1, ...; `readPosition` undoes it. */
export function selectPosition(columns: readonly SortColumn[]): RawBuilder<unknown> {
  return sql.join(
    columns.map(
      (column, index) =>
        sql`${column.class ?? sql.lit(0)} AS ${sql.ref(`c${index}`)}, ${column.value} AS ${sql.ref(`v${index}`)}`,
    ),
  );
}

export function readPosition(row: Readonly<Record<string, unknown>>, columns: readonly SortColumn[]): RunPosition {
  return columns.map((_, index) => {
    const valueClass = Number(row[`c${index}`]) as ValueClass;
    return { class: valueClass, value: valueClass === 0 ? (row[`v${index}`] as SortValue) : null };
  });
}
