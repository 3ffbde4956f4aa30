import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { EspalierError, type ModelSignature } from "@espalier/core";
import { identifier, literal } from "@espalier/quality";
import type { DuckDb } from "../duckdb-client.ts";
import { type Column, listTableFiles, tableSource } from "../steps/tables.ts";
import { unreadableColumn } from "./feature-batches.ts";

/** One file of the data, as Parquet. */
export interface ScoredFile {
  /** How messages call it: its path below the input, or the input's name. */
  name: string;
  /** Folder below the input, "" at its top. */
  folder: string;
  /** As it came; predictions are numbered by its content. */
  original: string;
  /** What is read: the file itself, or what a text file was converted to. */
  path: string;
  isConverted: boolean;
  columns: Column[];
  /** Rows of each row group. */
  rowGroups: number[];
}

/**
 * The files of the data, sorted by path. A text file (CSV, JSON) is converted first, into `convertedFolder`, where it stays for the next
 * attempt. INVALID_DATA names the file that can not be read.
 */
export async function scoredFiles(
  database: DuckDb,
  data: string,
  signature: ModelSignature,
  convertedFolder: string,
): Promise<ScoredFile[]> {
  const paths = await listTableFiles(data);
  if (paths.length === 0) {
    throw new EspalierError("INVALID_DATA", "There is nothing to predict: the folder has no files", {
      at: "inputs.data",
    });
  }
  const files: ScoredFile[] = [];
  for (const [index, original] of paths.entries()) {
    const name = original === data ? "data" : relative(data, original).split(sep).join("/");
    try {
      const isParquet = await hasParquetMark(original);
      const path = isParquet ? original : join(convertedFolder, `${index}.parquet`);
      if (!isParquet) await convert(database, original, path, signature);
      files.push({
        name,
        folder: name.includes("/") ? dirname(name) : "",
        original,
        path,
        isConverted: !isParquet,
        ...(await shapeOf(database, path)),
      });
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      throw new EspalierError("INVALID_DATA", `${name} can not be read as a table. ${detail}`, {
        cause: error,
        at: `inputs.data: ${name}`,
        hint: "Check that the file is complete: one that is cut off while being written or copied looks like this.",
      });
    }
  }
  return files;
}

async function shapeOf(database: DuckDb, path: string): Promise<Pick<ScoredFile, "columns" | "rowGroups">> {
  const columns = await database.rows(`DESCRIBE SELECT * FROM read_parquet(${literal(path)})`);
  const groups = await database.rows(
    `SELECT row_group_id AS id, any_value(row_group_num_rows) AS n FROM parquet_metadata(${literal(path)}) GROUP BY id ORDER BY id`,
  );
  return {
    columns: columns
      .map((row) => ({ name: String(row.column_name), type: String(row.column_type) }))
      .filter(({ name }) => name !== unreadableColumn),
    rowGroups: groups.map((row) => Number(row.n)),
  };
}

async function hasParquetMark(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    if (bytesRead === 0) throw new EspalierError("INVALID_DATA", "It is an empty file", { at: path });
    return buffer.toString("latin1") === "PAR1";
  } finally {
    await file.close();
  }
}

/**
 * Text has no types: what the model takes as text stays as it is written (`007`), what it takes as numbers is read as such, and rows where
 * that fails are marked. Other columns get the type that DuckDB sees in the whole file.
 */
async function convert(database: DuckDb, original: string, path: string, signature: ModelSignature): Promise<void> {
  if (await isThere(path)) return;
  const source = await tableSource(original, "data");
  const found = (await database.rows(`DESCRIBE SELECT * FROM ${source}`)).map((row) => String(row.column_name));
  const inputs = signature.inputs.filter(({ name }) => found.includes(name));
  const isCsv = source.startsWith("read_csv(");
  const types = inputs.map(({ name }) => `${literal(name)}: 'VARCHAR'`).join(", ");
  const table = isCsv && inputs.length > 0 ? source.replace(/\)$/, `, types = {${types}}, sample_size = -1)`) : source;
  const numbers = isCsv ? inputs.filter(({ type }) => type !== "string" && type !== "datetime") : [];
  const replaced = numbers.map(({ name, type }) => {
    const column = identifier(name);
    const as = type === "boolean" ? "BOOLEAN" : "DOUBLE";
    return `TRY_CAST(${column} AS ${as}) AS ${column}`;
  });
  for (const { name } of isCsv ? inputs.filter(({ type }) => type === "datetime") : []) {
    replaced.push(`CAST(${identifier(name)} AS TIMESTAMP) AS ${identifier(name)}`);
  }
  const cases = numbers.map(({ name, type }) => {
    const as = type === "boolean" ? "BOOLEAN" : "DOUBLE";
    const number = signature.inputs.findIndex((input) => input.name === name) + 1;
    return `WHEN ${identifier(name)} IS NOT NULL AND TRY_CAST(${identifier(name)} AS ${as}) IS NULL THEN ${number}`;
  });
  const marks = cases.length === 0 ? "0" : `CASE ${cases.join(" ")} ELSE 0 END`;
  const all = replaced.length === 0 ? "*" : `* REPLACE (${replaced.join(", ")})`;
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.partial`;
  await database.run(
    `COPY (SELECT ${all}, CAST(${marks} AS INTEGER) AS ${identifier(unreadableColumn)} FROM ${table})
     TO ${literal(temporary)} (FORMAT parquet, COMPRESSION snappy)`,
  );
  await rename(temporary, path);
}

async function isThere(path: string): Promise<boolean> {
  return open(path).then(
    async (file) => {
      await file.close();
      return true;
    },
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return false;
      throw error;
    },
  );
}

/** SHA-256 of a file, in hexadecimal. */
export async function contentHash(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}

/** Removes a folder and all that is in it. */
export async function emptyFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
  await mkdir(path, { recursive: true });
}
