import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { EspalierError } from "@espalier/core";
import { identifier, literal } from "@espalier/quality";
import type { DuckDb } from "../duckdb-client.ts";
import type { NewColumn } from "../duckdb-columns-client.ts";
import { type BadRow, unreadableColumn } from "./feature-batches.ts";
import type { ScoredFile } from "./scored-files.ts";
import { okColumn } from "./unit-scores.ts";
import type { Unit } from "./units.ts";

const rowGroupRows = 122_880;

export interface PartShape {
  keep: readonly string[];
  /** A key column; `content`: made of the file's content and the row's number; `none`: no ids. */
  predictionId: { column: string } | "content" | "none";
  /** Columns of the data whose values name folders. */
  partitionColumns: readonly string[];
  /** Scores at or above it get the label true. */
  threshold?: number;
  modelName?: string;
  modelVersion?: string;
  /** Of the model that predicted; written into the files' metadata. */
  modelDigest: string;
}

/** What one unit left, in a folder of its own: `parts` with the predictions, and `rejects.parquet` where rows were set aside. */
export interface UnitPlace {
  folder: string;
  parts: string;
  rejects: string;
}

export const unitPlace = (checkpoint: string, unit: Pick<Unit, "index">): UnitPlace => {
  const folder = join(checkpoint, "units", String(unit.index));
  return { folder, parts: join(folder, "parts"), rejects: join(folder, "rejects.parquet") };
};

const partName = (unit: Pick<Unit, "index">): string => `part-${String(unit.index).padStart(5, "0")}`;

/**
 * Writes a unit's part, whole or not at all. What is kept of the data is read again here, column by column, and never passes through
 * JavaScript. The database must run on one thread: otherwise bytes differ.
 */
export async function writePart(
  database: DuckDb,
  checkpoint: string,
  { unit, file, scores, bad, contentHash }: PartContent,
  shape: PartShape,
): Promise<void> {
  const place = unitPlace(checkpoint, unit);
  const partial = `${place.folder}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(join(partial, "parts"), { recursive: true });
  const rows = unit.to - unit.from;
  await database.loadColumns("scores", scores, rows);
  const select = partColumns(scores, shape, contentHash);
  const wanted = [...new Set([...shape.keep, ...shape.partitionColumns, ...keyOf(shape)])];
  const data = `SELECT ${[...wanted.map(identifier), "file_row_number"].join(", ")} FROM ${rangeOf(file, unit)}`;
  const where = bad.length === 0 ? "" : ` WHERE s.${identifier(okColumn)}`;
  const query = `SELECT ${select.join(", ")} FROM (${data}) d POSITIONAL JOIN scores s${where}`;
  const options = [
    "FORMAT parquet",
    "COMPRESSION zstd",
    `ROW_GROUP_SIZE ${rowGroupRows}`,
    `KV_METADATA {espalier_model_digest: ${literal(shape.modelDigest)}}`,
  ];
  const parts = join(partial, "parts");
  if (shape.partitionColumns.length === 0) {
    await database.run(
      `COPY (${query}) TO ${literal(join(parts, `${partName(unit)}.parquet`))} (${options.join(", ")})`,
    );
  } else {
    options.push(`PARTITION_BY (${shape.partitionColumns.map(identifier).join(", ")})`);
    options.push(`FILENAME_PATTERN ${literal(`${partName(unit)}-{i}`)}`, "OVERWRITE_OR_IGNORE");
    await database.run(`COPY (${query}) TO ${literal(parts)} (${options.join(", ")})`);
  }
  if (bad.length > 0) await writeRejects(database, join(partial, "rejects.parquet"), file, unit, bad);
  await rm(place.folder, { recursive: true, force: true });
  await rename(partial, place.folder);
}

export interface PartContent {
  unit: Unit;
  file: ScoredFile;
  scores: readonly NewColumn[];
  bad: readonly BadRow[];
  /** Of the file, where ids are made of it. */
  contentHash: string;
}

const rangeOf = (file: ScoredFile, unit: Unit): string =>
  `read_parquet(${literal(file.path)}, file_row_number = true)
   WHERE file_row_number >= ${unit.from} AND file_row_number < ${unit.to}`;

const keyOf = ({ predictionId }: PartShape): string[] =>
  typeof predictionId === "string" ? [] : [predictionId.column];

function partColumns(scores: readonly NewColumn[], shape: PartShape, hash: string): string[] {
  const columns: [string, string][] = [];
  if (shape.predictionId === "content") {
    columns.push([`${literal(`${hash.slice(0, 16)}-`)} || (d.file_row_number + 1)`, "prediction_id"]);
  } else if (shape.predictionId !== "none") {
    columns.push([`CAST(d.${identifier(shape.predictionId.column)} AS VARCHAR)`, "prediction_id"]);
  }
  for (const name of shape.keep) columns.push([`d.${identifier(name)}`, name]);
  for (const { name } of scores) if (name !== okColumn) columns.push([`s.${identifier(name)}`, name]);
  if (shape.threshold !== undefined) columns.push([`CAST(s.score AS DOUBLE) >= ${shape.threshold}`, "label"]);
  if (shape.modelName !== undefined) columns.push([literal(shape.modelName), "model_name"]);
  if (shape.modelVersion !== undefined) columns.push([literal(shape.modelVersion), "model_version"]);
  refuseTwice(columns.map(([, name]) => name));
  for (const name of shape.partitionColumns) {
    if (!shape.keep.includes(name)) columns.push([`d.${identifier(name)}`, name]);
  }
  return columns.map(([sql, name]) => `${sql} AS ${identifier(name)}`);
}

function refuseTwice(names: readonly string[]): void {
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice === undefined) return;
  throw new EspalierError("INVALID_PIPELINE", `The predictions would have two columns named \`${twice}\``, {
    at: "with.keep",
    hint: "Rename the column of the data in a `sql` step before.",
  });
}

/** The rows that were set aside as they came, with `_file`, `_row` (from 1), `_column` and `_reason`. */
async function writeRejects(
  database: DuckDb,
  path: string,
  file: ScoredFile,
  unit: Unit,
  bad: readonly BadRow[],
): Promise<void> {
  await database.loadColumns(
    "bad",
    [
      { name: "row", values: BigInt64Array.from(bad, ({ row }) => BigInt(row)) },
      { name: "column", values: bad.map(({ column = "" }) => column) },
      { name: "reason", values: bad.map(({ reason }) => reason) },
    ],
    bad.length,
  );
  await database.run(
    `COPY (SELECT ${literal(file.name)} AS _file, bad.row + 1 AS _row, nullif(bad."column", '') AS _column, bad.reason AS _reason,
       d.* EXCLUDE (${excluded(file)})
     FROM bad JOIN (SELECT * FROM ${rangeOf(file, unit)}) d ON d.file_row_number = bad.row ORDER BY bad.row)
     TO ${literal(path)} (FORMAT parquet, COMPRESSION zstd)`,
  );
}

const excluded = (file: ScoredFile): string =>
  ["file_row_number", ...(file.isConverted ? [unreadableColumn] : [])].map(identifier).join(", ");

/** All rejects of a run as one table; of none, an empty one with the same columns. */
export async function joinRejects(
  database: DuckDb,
  rejects: readonly string[],
  file: ScoredFile,
  path: string,
): Promise<void> {
  const source =
    rejects.length > 0
      ? `SELECT * FROM read_parquet([${rejects.map(literal).join(", ")}], union_by_name = true)`
      : `SELECT '' AS _file, 0::BIGINT AS _row, '' AS _column, '' AS _reason, * EXCLUDE (${excluded(file)})
         FROM read_parquet(${literal(file.path)}, file_row_number = true) LIMIT 0`;
  await database.run(`COPY (${source}) TO ${literal(path)} (FORMAT parquet, COMPRESSION zstd)`);
}
