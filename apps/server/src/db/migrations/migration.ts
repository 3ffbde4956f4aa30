/** Column types of one database, so that each table is written once. */
export interface ColumnTypes {
  /** Compared byte by byte on both, whatever the server's locale. */
  text: string;
  /** 64 bits. */
  integer: string;
  /** IEEE double, ±Infinity included; NaN is stored as 0 with a flag of its own, for SQLite has none. */
  real: string;
  /** Follows the closing bracket of CREATE TABLE. */
  tableEnd: string;
  /** As `tableEnd`, for a table that is read by its primary key alone. */
  clusteredEnd: string;
}

export interface Migration {
  version: number;
  name: string;
  /** Statements, run in one transaction. */
  statements(types: ColumnTypes): string[];
}

export const columnTypes: Record<"sqlite" | "postgres", ColumnTypes> = {
  sqlite: { text: "TEXT", integer: "INTEGER", real: "REAL", tableEnd: "STRICT", clusteredEnd: "STRICT, WITHOUT ROWID" },
  postgres: { text: 'TEXT COLLATE "C"', integer: "BIGINT", real: "DOUBLE PRECISION", tableEnd: "", clusteredEnd: "" },
};
