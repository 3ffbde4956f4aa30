import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DuckDBConnection } from "@duckdb/node-api";
import { EspalierError, type Json } from "@espalier/core";
import { loadTypedColumns, type NewColumn, readTypedChunks, type TypedChunk } from "./duckdb-columns-client.ts";
import { toDuckDbError } from "./duckdb-errors.ts";

export interface DuckDbOptions {
  /** 1 where bytes or sums of floating-point numbers must repeat. */
  threads: number;
  /** DuckDB's own word, such as `1200MB`. */
  memoryLimit?: string;
}

export type Row = Readonly<Record<string, Json>>;
export type ColumnBatch = Readonly<Record<string, readonly unknown[]>>;

/** The slice of DuckDB that Espalier uses. Errors are EspalierErrors already. */
export interface DuckDb {
  run(sql: string): Promise<void>;
  /** Rows with JSON values: 64-bit integers that fit are numbers, others strings; dates and times are text. */
  rows(sql: string): Promise<Row[]>;
  /** Streams batches (2,048 rows or fewer) of columns with JavaScript values; memory does not grow with the result. */
  batches(sql: string): AsyncIterable<ColumnBatch>;
  /** The same as typed arrays; see `readTypedChunks` for the types a query may have. */
  chunks(sql: string): AsyncIterable<TypedChunk>;
  /** Makes the table `name` of typed arrays; replaces it when it is there. */
  loadColumns(name: string, columns: readonly NewColumn[], rows: number): Promise<void>;
  /** Makes the table `name` with the columns `row` (from 1) and `score`. */
  loadScores(name: string, scores: Float64Array): Promise<void>;
  close(): Promise<void>;
}

/** An in-memory database that spills to a private temporary folder, removed on close. */
export async function openDuckDb(options: DuckDbOptions): Promise<DuckDb> {
  const { DuckDBInstance } = await import("@duckdb/node-api").catch((cause: unknown) => {
    throw new EspalierError("NOT_INSTALLED", "DuckDB is not installed for this platform", {
      cause,
      hint: "npm install @duckdb/node-api",
    });
  });
  const spillFolder = await mkdtemp(join(tmpdir(), "espalier-duckdb-"));
  const instance = await DuckDBInstance.create(":memory:", {
    threads: String(options.threads),
    memory_limit: options.memoryLimit ?? "1200MB",
    temp_directory: spillFolder,
    preserve_insertion_order: "true",
    autoinstall_known_extensions: "false",
  });
  const connection = await instance.connect();
  await connection.run("SET TimeZone = 'UTC'");
  return {
    run: async (sql) => {
      await guarded(() => connection.run(sql));
    },
    rows: (sql) => guarded(() => readRows(connection, sql)),
    batches: (sql) => streamBatches(connection, sql),
    chunks: (sql) => guardedStream(readTypedChunks(connection, sql)),
    loadColumns: (name, columns, rows) => guarded(() => loadTypedColumns(connection, name, columns, rows)),
    loadScores: (name, scores) => guarded(() => loadScores(connection, name, scores)),
    close: async () => {
      connection.closeSync();
      instance.closeSync();
      await rm(spillFolder, { recursive: true, force: true });
    },
  };
}

async function guarded<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw toDuckDbError(error);
  }
}

async function* guardedStream<Item>(stream: AsyncIterable<Item>): AsyncIterable<Item> {
  try {
    yield* stream;
  } catch (error) {
    throw toDuckDbError(error);
  }
}

async function loadScores(connection: DuckDBConnection, name: string, scores: Float64Array): Promise<void> {
  await connection.run(`CREATE TABLE "${name}" ("row" BIGINT, score DOUBLE)`);
  const appender = await connection.createAppender(name);
  for (const [index, score] of scores.entries()) {
    appender.appendBigInt(BigInt(index + 1));
    appender.appendDouble(score);
    appender.endRow();
  }
  appender.closeSync();
}

async function readRows(connection: DuckDBConnection, sql: string): Promise<Row[]> {
  const reader = await connection.runAndReadAll(sql);
  const names = reader.columnNames();
  const texts = reader.getRowsJson();
  return reader.getRowsJS().map((row, at) =>
    Object.fromEntries(
      names.map((name, index) => {
        const value = row[index];
        // DuckDB's own text keeps a DATE a date and the microseconds of a TIMESTAMP.
        const text = value instanceof Date || value instanceof Uint8Array ? texts[at]?.[index] : undefined;
        return [name, typeof text === "string" ? text : plain(value)];
      }),
    ),
  );
}

async function* streamBatches(connection: DuckDBConnection, sql: string): AsyncIterable<ColumnBatch> {
  const result = await guarded(() => connection.stream(sql));
  const names = result.columnNames();
  for (;;) {
    const chunk = await guarded(() => result.fetchChunk());
    if (chunk === null || chunk.rowCount === 0) return;
    const columns = chunk.getColumns();
    yield Object.fromEntries(names.map((name, index) => [name, columns[index] ?? []]));
  }
}

function plain(value: unknown): Json {
  if (value === null || value === undefined) return null;
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)]));
  }
  return String(value);
}
