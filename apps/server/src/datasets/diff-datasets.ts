import type { DatasetDiff } from "@espalier/contract";
import { type ArtifactRef, EspalierError, isTree, type JsonObject } from "@espalier/core";
import { type ColumnProfile, diffTables } from "@espalier/quality";
import type { ControlPlane } from "../control-plane.ts";
import type { DatasetVersionRow } from "../db/queries/datasets.ts";
import { materialised } from "../monitoring/plane-monitors.ts";
import { columnsOf, tableSource, withDuckDb } from "./tables.ts";

const mostPaths = 1000;

/** Schema, counts and column statistics of two tables, rows by key; the paths of two folders. */
export async function diffDatasets(
  plane: ControlPlane,
  from: DatasetVersionRow,
  to: DatasetVersionRow,
  key: readonly string[] = [],
): Promise<DatasetDiff> {
  const identical = from.digest === to.digest;
  const base: DatasetDiff = { name: from.name, from: from.version, to: to.version, identical, columns: [] };
  if (identical) return base;
  const [before, after] = [contentOf(from), contentOf(to)];
  if (isTree(before) && isTree(after)) return { ...base, files: await diffTrees(plane, before, after) };
  const sources = [
    tableSource(await materialised(plane, before), before.type, from.source ?? ""),
    tableSource(await materialised(plane, after), after.type, to.source ?? ""),
  ];
  const [one, other] = sources;
  if (one === undefined || other === undefined) return base;
  return { ...base, ...(await diffContents(one, other, key)) };
}

async function diffContents(
  before: string,
  after: string,
  key: readonly string[],
): Promise<Pick<DatasetDiff, "rows" | "columns" | "keyed">> {
  return withDuckDb(async (database) => {
    await database.run(`CREATE TEMP VIEW table_before AS SELECT * FROM ${before}`);
    await database.run(`CREATE TEMP VIEW table_after AS SELECT * FROM ${after}`);
    const tables = {
      before: { table: "table_before", columns: await columnsOf(database, "table_before") },
      after: { table: "table_after", columns: await columnsOf(database, "table_after") },
    };
    const unknown = key.find((name) => !tables.before.columns.some((column) => column.name === name));
    if (unknown !== undefined) {
      throw new EspalierError("INVALID_INPUT", `There is no column ${unknown}`, {
        at: "query.key",
        hint: `The columns: ${tables.before.columns.map((column) => column.name).join(", ")}.`,
      });
    }
    const diff = await diffTables((sql) => database.rows(sql), tables.before, tables.after, key);
    return {
      rows: { from: diff.rows.before, to: diff.rows.after },
      columns: compareColumns(diff.before.columns, diff.after.columns),
      ...(diff.keyed === undefined
        ? {}
        : {
            keyed: {
              key: [...diff.keyed.key],
              added: diff.keyed.added,
              removed: diff.keyed.removed,
              changed: diff.keyed.changed,
            },
          }),
    };
  });
}

function compareColumns(before: readonly ColumnProfile[], after: readonly ColumnProfile[]): DatasetDiff["columns"] {
  const names = [...new Set([...before, ...after].map((column) => column.name))];
  return names.map((name) => {
    const [one, other] = [before.find((column) => column.name === name), after.find((column) => column.name === name)];
    const from = one === undefined ? undefined : statistics(one);
    const to = other === undefined ? undefined : statistics(other);
    const change =
      one === undefined || other === undefined
        ? one === undefined
          ? "added"
          : "removed"
        : one.type !== other.type
          ? "type"
          : JSON.stringify(from) === JSON.stringify(to)
            ? "same"
            : "statistics";
    return { name, change, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
  });
}

function statistics({ type, rows, nulls, moments, first, last, categories }: ColumnProfile): JsonObject {
  return {
    type,
    nullShare: rows === 0 ? 0 : nulls / rows,
    ...(moments === undefined ? {} : (JSON.parse(JSON.stringify(moments)) as JsonObject)),
    ...(first === undefined ? {} : { first }),
    ...(last === undefined ? {} : { last }),
    ...(categories === undefined ? {} : { mostFrequent: categories.values[0]?.value ?? null }),
  };
}

function contentOf(row: DatasetVersionRow): ArtifactRef {
  if (row.artifact !== undefined) return row.artifact;
  throw new EspalierError(
    "UNSUPPORTED",
    `${row.name}@${row.version} is registered by reference: the store has no copy of it`,
  );
}

async function diffTrees(
  { artifacts }: ControlPlane,
  before: ArtifactRef,
  after: ArtifactRef,
): Promise<NonNullable<DatasetDiff["files"]>> {
  const old = new Map((await artifacts.entries(before)).map((entry) => [entry.path, entry]));
  const fresh = new Map((await artifacts.entries(after)).map((entry) => [entry.path, entry]));
  const differs = (path: string): boolean => {
    const [one, other] = [old.get(path), fresh.get(path)];
    return one?.sha256 !== other?.sha256 || one?.executable !== other?.executable;
  };
  return {
    added: [...fresh.keys()].filter((path) => !old.has(path)).slice(0, mostPaths),
    removed: [...old.keys()].filter((path) => !fresh.has(path)).slice(0, mostPaths),
    changed: [...fresh.keys()].filter((path) => old.has(path) && differs(path)).slice(0, mostPaths),
  };
}
