import type { TableColumn } from "../rules/table-checks.ts";
import { identifier, literal } from "../sql-text.ts";
import type { ColumnKind, ColumnProfile, TableProfile } from "./profile.ts";

/** Nineteen inner edges: bins that each hold a twentieth of the reference. */
const quantiles = Array.from({ length: 19 }, (_, index) => (index + 1) / 20);
export const categoryLimit = 50;

export interface ProfileOptions {
  /** Gives the histogram's edges and the categories; without it, this profile becomes one that can serve as reference. */
  reference?: TableProfile;
  /** SQL expression; one profile for each of its values. */
  stratum?: string;
  /** SQL predicate: only these rows. */
  where?: string;
}

export function columnKind(type: string): ColumnKind {
  if (/^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|DECIMAL.*)$/.test(type)) return "numeric";
  if (/^(VARCHAR|ENUM.*|UUID)$/.test(type)) return "categorical";
  if (type === "BOOLEAN") return "boolean";
  if (/^(DATE|TIMESTAMP.*)$/.test(type)) return "time";
  return "other";
}

/** Query for the edges of a first profile: one row, `e<i>` a list for the numeric column of index i. */
export function edgesSql(table: string, columns: readonly TableColumn[], where?: string): string | undefined {
  const select = columns.flatMap((column, index) =>
    columnKind(column.type) === "numeric"
      ? [`quantile_disc(${asDouble(column)}, [${quantiles.join(", ")}])${finiteOnly(column)} AS e${index}`]
      : [],
  );
  return select.length === 0 ? undefined : `SELECT ${select.join(", ")} FROM ${source(table, where)}`;
}

/** The one query of a profile: a row for each stratum (column `stratum`), fields named by the column's index. */
export function profileSql(
  table: string,
  columns: readonly TableColumn[],
  edges: ReadonlyMap<string, readonly number[]>,
  options: ProfileOptions = {},
): string {
  const select = columns.flatMap((column, index) =>
    columnSelect(column, index, edges, options.reference === undefined),
  );
  const group = options.stratum === undefined ? "" : " GROUP BY 1 ORDER BY 1";
  return `SELECT ${stratumSql(options)} AS stratum, ${["count(*) AS rows", ...select].join(", ")} FROM ${source(table, options.where)}${group}`;
}

/** Query for the categories of one column: stratum, value, n. Grouping is faster by far than a histogram of texts. */
export function categoriesSql(table: string, column: TableColumn, options: ProfileOptions = {}): string {
  const name = identifier(column.name);
  const from = source(table, options.where);
  const known = options.reference?.columns.find((profile) => profile.name === column.name)?.categories?.values;
  const choice =
    known === undefined
      ? `(SELECT v FROM (SELECT CAST(${name} AS VARCHAR) AS v, count(*) AS n FROM ${from} WHERE ${name} IS NOT NULL GROUP BY 1 ORDER BY n DESC, v LIMIT ${categoryLimit}))`
      : `(${known.length === 0 ? "NULL" : known.map(({ value }) => literal(value)).join(", ")})`;
  return (
    `SELECT ${stratumSql(options)} AS stratum, CAST(${name} AS VARCHAR) AS value, count(*) AS n FROM ${from} ` +
    `WHERE CAST(${name} AS VARCHAR) IN ${choice} GROUP BY 1, 2 ORDER BY n DESC, value`
  );
}

function columnSelect(
  column: TableColumn,
  index: number,
  edges: ReadonlyMap<string, readonly number[]>,
  withDistinct: boolean,
): string[] {
  const name = identifier(column.name);
  const select = [`count(${name}) AS v${index}`];
  if (withDistinct) select.push(`approx_count_distinct(${name}) AS d${index}`);
  switch (columnKind(column.type)) {
    case "numeric": {
      const value = asDouble(column);
      const filter = finiteOnly(column);
      select.push(
        `count(*)${isFloat(column) ? ` FILTER (WHERE ${name} IS NOT NULL AND NOT isfinite(${name}))` : " FILTER (WHERE false)"} AS x${index}`,
        `avg(${value})${filter} AS m${index}`,
        `var_pop(${value})${filter} AS s${index}`,
        `min(${value})${filter} AS lo${index}`,
        `max(${value})${filter} AS hi${index}`,
      );
      const list = edges.get(column.name) ?? [];
      if (list.length > 0) {
        select.push(`histogram(${value}, [${list.map(doubleLiteral).join(", ")}])${filter} AS h${index}`);
      }
      return select;
    }
    case "boolean":
      return [...select, `count(*) FILTER (WHERE ${name}) AS t${index}`];
    case "time":
      return [...select, `CAST(min(${name}) AS VARCHAR) AS lo${index}`, `CAST(max(${name}) AS VARCHAR) AS hi${index}`];
    default:
      return select;
  }
}

/** Edges of the reference's histograms, by column. */
export function edgesOf(reference: TableProfile): Map<string, readonly number[]> {
  return new Map(
    reference.columns.flatMap((column: ColumnProfile) =>
      column.histogram === undefined ? [] : [[column.name, column.histogram.edges] as const],
    ),
  );
}

function stratumSql(options: ProfileOptions): string {
  return options.stratum === undefined ? "''" : `coalesce(CAST(${options.stratum} AS VARCHAR), '')`;
}

function source(table: string, where: string | undefined): string {
  const from = identifier(table);
  return where === undefined ? from : `(SELECT * FROM ${from} WHERE ${where})`;
}

function asDouble(column: TableColumn): string {
  return column.type === "DOUBLE" ? identifier(column.name) : `CAST(${identifier(column.name)} AS DOUBLE)`;
}

function isFloat(column: TableColumn): boolean {
  return column.type === "DOUBLE" || column.type === "FLOAT";
}

function finiteOnly(column: TableColumn): string {
  return isFloat(column) ? ` FILTER (WHERE isfinite(${identifier(column.name)}))` : "";
}

function doubleLiteral(value: number): string {
  return `${literal(value)}::DOUBLE`;
}
