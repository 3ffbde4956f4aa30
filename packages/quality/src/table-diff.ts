import { EspalierError, type Json, type JsonObject } from "@espalier/core";
import { type DriftReport, driftReport } from "./drift/report.ts";
import type { TableProfile } from "./profile/profile.ts";
import { profileTable } from "./profile/profile-table.ts";
import type { TableColumn } from "./rules/table-checks.ts";
import type { RowsOf } from "./rules/validate.ts";
import { identifier } from "./sql-text.ts";

const sampleRows = 20;

export interface RowChange {
  key: JsonObject;
  change: "added" | "removed" | "changed";
  /** Of a changed row: the columns that differ, before and after. */
  columns?: Record<string, { before: Json; after: Json }>;
}

export interface TableDiff {
  rows: { before: number; after: number };
  schema: { added: TableColumn[]; removed: TableColumn[]; retyped: { column: string; from: string; to: string }[] };
  before: TableProfile;
  /** Profiled with the bins of `before`. */
  after: TableProfile;
  drift: DriftReport;
  /** Only with a key. */
  keyed?: {
    key: string[];
    added: number;
    removed: number;
    changed: number;
    unchanged: number;
    /** Of the changed rows, by column. */
    changedColumns: Record<string, number>;
    samples: RowChange[];
  };
}

/** Compares two tables or views of one database: schema, counts, statistics of columns and, given a key, rows. */
export async function diffTables(
  rows: RowsOf,
  before: { table: string; columns: readonly TableColumn[] },
  after: { table: string; columns: readonly TableColumn[] },
  key: readonly string[] = [],
): Promise<TableDiff> {
  const beforeProfile = await profileTable(rows, before.table, before.columns);
  const afterProfile = await profileTable(rows, after.table, after.columns, { reference: beforeProfile });
  const drift = driftReport(beforeProfile, afterProfile);
  const find = (columns: readonly TableColumn[], name: string): TableColumn | undefined =>
    columns.find((column) => column.name === name);
  return {
    rows: { before: beforeProfile.rows, after: afterProfile.rows },
    schema: {
      added: after.columns.filter((column) => find(before.columns, column.name) === undefined),
      removed: before.columns.filter((column) => find(after.columns, column.name) === undefined),
      retyped: drift.schema.retyped,
    },
    before: beforeProfile,
    after: afterProfile,
    drift,
    ...(key.length === 0 ? {} : { keyed: await diffRows(rows, before, after, key) }),
  };
}

async function diffRows(
  rows: RowsOf,
  before: { table: string; columns: readonly TableColumn[] },
  after: { table: string; columns: readonly TableColumn[] },
  key: readonly string[],
): Promise<NonNullable<TableDiff["keyed"]>> {
  for (const { table, columns } of [before, after]) await requireKey(rows, table, columns, key);
  const shared = before.columns
    .map((column) => column.name)
    .filter((name) => !key.includes(name) && after.columns.some((column) => column.name === name));
  const differs = shared.map((name) => `b.${identifier(name)} IS DISTINCT FROM a.${identifier(name)}`);
  const joined =
    `(SELECT *, TRUE AS __b FROM ${identifier(before.table)}) b FULL OUTER JOIN ` +
    `(SELECT *, TRUE AS __a FROM ${identifier(after.table)}) a ON ` +
    key.map((name) => `b.${identifier(name)} = a.${identifier(name)}`).join(" AND ");
  const anyDiffers = differs.length === 0 ? "false" : `(${differs.join(" OR ")})`;
  const both = "b.__b AND a.__a";
  const counts = (
    await rows(
      `SELECT count(*) FILTER (WHERE b.__b IS NULL) AS added, count(*) FILTER (WHERE a.__a IS NULL) AS removed, ` +
        `count(*) FILTER (WHERE ${both} AND ${anyDiffers}) AS changed, count(*) FILTER (WHERE ${both} AND NOT ${anyDiffers}) AS unchanged` +
        differs.map((test, index) => `, count(*) FILTER (WHERE ${both} AND ${test}) AS c${index}`).join("") +
        ` FROM ${joined}`,
    )
  )[0];
  const keys = key.map((name, index) => `coalesce(a.${identifier(name)}, b.${identifier(name)}) AS k${index}`);
  const values = shared.map((name, index) => `b.${identifier(name)} AS b${index}, a.${identifier(name)} AS a${index}`);
  const samples = await rows(
    `SELECT ${[...keys, "b.__b AS hb", "a.__a AS ha", ...values].join(", ")} FROM ${joined} ` +
      `WHERE b.__b IS NULL OR a.__a IS NULL OR ${anyDiffers} ORDER BY ${key.map((_, index) => `k${index}`).join(", ")} LIMIT ${sampleRows}`,
  );
  const count = (name: string): number => Number(counts?.[name] ?? 0);
  return {
    key: [...key],
    added: count("added"),
    removed: count("removed"),
    changed: count("changed"),
    unchanged: count("unchanged"),
    changedColumns: Object.fromEntries(
      shared.map((name, index) => [name, count(`c${index}`)] as const).filter(([, changed]) => changed > 0),
    ),
    samples: samples.map((row) => toChange(row, key, shared)),
  };
}

/** A key that is missing or not unique would pair rows that do not belong together. */
async function requireKey(
  rows: RowsOf,
  table: string,
  columns: readonly TableColumn[],
  key: readonly string[],
): Promise<void> {
  const missing = key.filter((name) => !columns.some((column) => column.name === name));
  if (missing.length > 0) {
    throw new EspalierError("INVALID_INPUT", `\`${table}\` has no column ${missing.join(", ")} to serve as key`, {
      at: "key",
      hint: `Its columns are: ${columns.map((column) => column.name).join(", ")}.`,
    });
  }
  const names = key.map(identifier).join(", ");
  const twice = await rows(`SELECT ${names} FROM ${identifier(table)} GROUP BY ${names} HAVING count(*) > 1 LIMIT 1`);
  if (twice.length === 0) return;
  throw new EspalierError(
    "INVALID_INPUT",
    `The key (${key.join(", ")}) is not unique in \`${table}\`: ${JSON.stringify(twice[0])} occurs twice`,
    {
      at: "key",
      hint: "Choose more columns, or compare without a key.",
    },
  );
}

function toChange(row: JsonObject, key: readonly string[], shared: readonly string[]): RowChange {
  const keyValues = Object.fromEntries(key.map((name, index) => [name, row[`k${index}`] ?? null]));
  if (row.hb !== true) return { key: keyValues, change: "added" };
  if (row.ha !== true) return { key: keyValues, change: "removed" };
  const columns: Record<string, { before: Json; after: Json }> = {};
  for (const [index, name] of shared.entries()) {
    const [before, after] = [row[`b${index}`] ?? null, row[`a${index}`] ?? null];
    if (JSON.stringify(before) !== JSON.stringify(after)) columns[name] = { before, after };
  }
  return { key: keyValues, change: "changed", columns };
}
