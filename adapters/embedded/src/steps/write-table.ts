import { literal } from "@espalier/quality";
import type { DuckDb } from "../duckdb-client.ts";

const rowGroupRows = 122_880;

/** Writes a query's result in its order, and returns the number of rows. The database must run on one thread: otherwise bytes differ. */
export async function writeParquet(database: DuckDb, query: string, path: string): Promise<number> {
  const result = await database.rows(
    `COPY (${query}) TO ${literal(path)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${rowGroupRows})`,
  );
  return Number(result[0]?.Count ?? 0);
}

/** The same as CSV with a header. */
export async function writeCsv(database: DuckDb, query: string, path: string): Promise<number> {
  const result = await database.rows(`COPY (${query}) TO ${literal(path)} (FORMAT csv, HEADER)`);
  return Number(result[0]?.Count ?? 0);
}
