import { type DuckDb, loadEmbeddedParts } from "@espalier/host";
import type { TableColumn } from "@espalier/quality";

export interface TableShape {
  rows: number;
  columns: TableColumn[];
}

/** One database for one question; closed whatever comes of it. */
export async function withDuckDb<Result>(work: (database: DuckDb) => Promise<Result>): Promise<Result> {
  const database = await (await loadEmbeddedParts()).openDuckDb({ threads: 2, memoryLimit: "500MB" });
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}

/** SQL that reads a table's file, or undefined where it holds no table. `name` tells a CSV file from others. */
export function tableSource(path: string, type: string, name: string): string | undefined {
  const text = `'${path.replaceAll("'", "''")}'`;
  if (type === "parquet") return `read_parquet(${text})`;
  if (/\.(csv|tsv)(\.gz)?$/i.test(name)) return `read_csv(${text})`;
  return undefined;
}

export async function describeTable(database: DuckDb, source: string): Promise<TableShape> {
  const [count] = await database.rows(`SELECT count(*) AS rows FROM ${source}`);
  return { rows: Number(count?.["rows"] ?? 0), columns: await columnsOf(database, source) };
}

export async function columnsOf(database: DuckDb, source: string): Promise<TableColumn[]> {
  const rows = await database.rows(`SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM ${source})`);
  return rows.map((row) => ({ name: String(row["column_name"]), type: String(row["column_type"]) }));
}
