import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { EspalierError } from "@espalier/core";
import { identifier, literal } from "@espalier/quality";
import type { DuckDb } from "../duckdb-client.ts";

export interface Column {
  name: string;
  /** DuckDB's name of the type, such as `BIGINT`. */
  type: string;
}

/** SQL that reads a table from a path: a Parquet, CSV or JSON file, or a folder of them. The kind is told by content, not by name. */
export async function tableSource(path: string, input: string): Promise<string> {
  const files = await listTableFiles(path);
  const first = files[0];
  if (first === undefined)
    throw new EspalierError("INVALID_DATA", `The input \`${input}\` is an empty folder`, { at: path });
  const list = files.length === 1 ? literal(first) : `[${files.map(literal).join(", ")}]`;
  const union = files.length === 1 ? "" : ", union_by_name = true";
  const head = await readHead(first);
  if (head.length === 0) {
    throw new EspalierError("INVALID_DATA", `The input \`${input}\` is an empty file`, { at: first });
  }
  if (head.startsWith("PAR1")) return `read_parquet(${list}${union})`;
  if (/^\s*[[{]/.test(head)) return `read_json_auto(${list}${union})`;
  return `read_csv(${list}${union})`;
}

/** Makes the view `name` over a path, and returns its columns. A file that can not be read is INVALID_DATA that names it. */
export async function attachTable(database: DuckDb, name: string, path: string): Promise<Column[]> {
  const source = await tableSource(path, name);
  try {
    await database.run(`CREATE OR REPLACE VIEW ${identifier(name)} AS SELECT * FROM ${source}`);
    const rows = await database.rows(`DESCRIBE ${identifier(name)}`);
    return rows.map((row) => ({ name: String(row.column_name), type: String(row.column_type) }));
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new EspalierError("INVALID_DATA", `The input \`${name}\` can not be read as a table. ${detail}`, {
      cause: error,
      at: path,
      hint: "Check that the file is complete: one that is cut off while being written or copied looks like this.",
    });
  }
}

/** INVALID_DATA that names what is missing and what there is. */
export function requireColumns(wanted: readonly string[], columns: readonly Column[], table: string): void {
  const present = new Set(columns.map((column) => column.name));
  const missing = wanted.filter((name) => !present.has(name));
  if (missing.length === 0) return;
  const word = missing.length === 1 ? "column" : "columns";
  throw new EspalierError(
    "INVALID_DATA",
    `\`${table}\` has no ${word} ${missing.map((name) => `\`${name}\``).join(", ")}`,
    {
      at: table,
      hint: `Its columns are: ${[...present].join(", ")}.`,
      details: { missing, present: [...present] },
    },
  );
}

/** The files of a table: the file itself, or all below a folder, sorted. */
export async function listTableFiles(path: string): Promise<string[]> {
  const information = await stat(path).catch((cause: unknown) => {
    throw new EspalierError("INVALID_DATA", `There is no file ${path}`, { cause, at: path });
  });
  if (!information.isDirectory()) return [path];
  const entries = await readdir(path, { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith("."))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

async function readHead(path: string): Promise<string> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(64), 0, 64, 0);
    return buffer.subarray(0, bytesRead).toString("latin1");
  } finally {
    await file.close();
  }
}
