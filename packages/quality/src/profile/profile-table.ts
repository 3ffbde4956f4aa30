import type { Json, JsonObject } from "@espalier/core";
import type { TableColumn } from "../rules/table-checks.ts";
import type { RowsOf } from "../rules/validate.ts";
import { type Cell, chooseCuts, fillBins, makeGrid } from "./grid.ts";
import type { ColumnProfile, Histogram, Moments, TableProfile } from "./profile.ts";
import {
  categoriesSql,
  cellsSql,
  columnKind,
  isWhole,
  type ProfileOptions,
  profileSql,
  rangesSql,
} from "./profile-sql.ts";

/** Profile of a table or view: one query, and one GROUP BY for each column of numbers or texts. */
export async function profileTable(
  rows: RowsOf,
  table: string,
  columns: readonly TableColumn[],
  options: Omit<ProfileOptions, "stratum"> = {},
): Promise<TableProfile> {
  const profiles = await collect(rows, table, columns, options);
  return profiles.get("") ?? { rows: 0, columns: [] };
}

/** One profile for each value of the stratum; they share bins and categories, so they merge and compare. */
export async function profileStrata(
  rows: RowsOf,
  table: string,
  columns: readonly TableColumn[],
  options: ProfileOptions & { stratum: string },
): Promise<Map<string, TableProfile>> {
  return collect(rows, table, columns, options);
}

async function collect(
  rows: RowsOf,
  table: string,
  columns: readonly TableColumn[],
  options: ProfileOptions,
): Promise<Map<string, TableProfile>> {
  const profiles = new Map<string, TableProfile>();
  for (const row of await rows(profileSql(table, columns, options))) {
    profiles.set(String(row.stratum), parseProfile(row, columns));
  }
  const grids = await chooseGrids(rows, table, columns, options);
  for (const column of columns) {
    const kind = columnKind(column.type);
    const grid = grids.get(column.name);
    if (kind === "categorical") addCategories(profiles, column.name, await rows(categoriesSql(table, column, options)));
    else if (kind === "numeric" && grid !== undefined) {
      const known = options.reference?.columns.find(({ name }) => name === column.name)?.histogram;
      addNumbers(profiles, column.name, grid, known, await rows(cellsSql(table, column, grid, options)));
    }
  }
  return profiles;
}

/** One row of `profileSql` as a profile; numbers and categories come from their own queries. */
function parseProfile(row: JsonObject, columns: readonly TableColumn[]): TableProfile {
  const total = number(row.rows);
  return { rows: total, columns: columns.map((column, index) => parseColumn(row, column, index, total)) };
}

function parseColumn(row: JsonObject, column: TableColumn, index: number, total: number): ColumnProfile {
  const present = number(row[`v${index}`]);
  const kind = columnKind(column.type);
  const profile: ColumnProfile = { name: column.name, kind, type: column.type, rows: total, nulls: total - present };
  if (row[`d${index}`] !== undefined) profile.distinct = number(row[`d${index}`]);
  if (kind === "boolean") {
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

function addNumbers(
  profiles: Map<string, TableProfile>,
  name: string,
  grid: Histogram["grid"],
  known: Histogram | undefined,
  rows: readonly JsonObject[],
): void {
  const cells = rows.map((row) => ({ stratum: String(row.stratum), ...parseCell(row) }));
  const cuts = known?.cuts ?? chooseCuts(joined(cells));
  for (const [stratum, profile] of profiles) {
    const column = profile.columns.find((candidate) => candidate.name === name);
    if (column === undefined) continue;
    const own = cells.filter((cell) => cell.stratum === stratum);
    column.histogram = fillBins(grid, cuts, own);
    const moments = momentsOf(own, grid.low);
    const notFinite = column.rows - column.nulls - (moments?.count ?? 0);
    if (moments !== undefined) column.moments = moments;
    if (notFinite > 0) column.notFinite = notFinite;
  }
}

/** Cells of all strata together. */
function joined(cells: readonly Cell[]): Cell[] {
  const byCell = new Map<number, Cell>();
  for (const cell of cells) {
    const other = byCell.get(cell.cell);
    byCell.set(cell.cell, other === undefined ? cell : { ...other, count: other.count + cell.count });
  }
  return [...byCell.values()];
}

function momentsOf(cells: readonly Cell[], shift: number): Moments | undefined {
  if (cells.length === 0) return undefined;
  const count = cells.reduce((sum, cell) => sum + cell.count, 0);
  const sum = cells.reduce((total, cell) => total + cell.sum, 0);
  const squares = cells.reduce((total, cell) => total + cell.squares, 0);
  return {
    count,
    mean: shift + sum / count,
    squares: Math.max(0, squares - (sum * sum) / count),
    min: cells.reduce((least, cell) => Math.min(least, cell.min), Infinity),
    max: cells.reduce((most, cell) => Math.max(most, cell.max), -Infinity),
  };
}

function parseCell(row: JsonObject): Cell {
  return {
    cell: number(row.cell),
    count: number(row.count),
    sum: number(row.sum),
    squares: number(row.squares),
    min: number(row.min),
    max: number(row.max),
  };
}

function addCategories(profiles: Map<string, TableProfile>, name: string, rows: readonly JsonObject[]): void {
  const order = [...new Set(rows.map((row) => String(row.value)))];
  for (const [stratum, profile] of profiles) {
    const column = profile.columns.find((candidate) => candidate.name === name);
    if (column?.categories === undefined) continue;
    const counts = new Map(
      rows.filter((row) => row.stratum === stratum).map((row) => [String(row.value), number(row.count)]),
    );
    const values = order.map((value) => ({ value, count: counts.get(value) ?? 0 }));
    const listed = values.reduce((sum, { count }) => sum + count, 0);
    column.categories = { values, other: column.categories.other - listed };
  }
}

/** A numeric column that the reference has not, or not as numbers, gets no histogram: it could not be compared. */
async function chooseGrids(
  rows: RowsOf,
  table: string,
  columns: readonly TableColumn[],
  options: ProfileOptions,
): Promise<Map<string, Histogram["grid"]>> {
  if (options.reference !== undefined) {
    return new Map(
      options.reference.columns.flatMap(({ name, histogram }) =>
        histogram === undefined ? [] : [[name, histogram.grid] as const],
      ),
    );
  }
  const query = rangesSql(table, columns, options);
  const row = query === undefined ? {} : ((await rows(query))[0] ?? {});
  return new Map(
    columns.flatMap((column, index) => {
      const range = row[`e${index}`];
      if (!Array.isArray(range)) return [];
      const [from = 0, to = 0] = (range as Json[]).map(number);
      return [[column.name, makeGrid(from, to, isWhole(column.type))] as const];
    }),
  );
}

function number(value: Json | undefined): number {
  return value === null || value === undefined ? 0 : Number(value);
}
