import type { SQLOutputValue } from "node:sqlite";
import type { TrackedPoint } from "@espalier/core";

export type SqlRow = Record<string, SQLOutputValue>;

/** A store of MLflow's SQLAlchemy schema, read only. Integers come as bigint. */
export interface SqlStore {
  all(text: string, ...values: (string | number)[]): SqlRow[];
  /** Row by row, for tables that may be large. */
  each(text: string, ...values: (string | number)[]): Iterable<SqlRow>;
  has(table: string, column?: string): boolean;
}

/** Only the workspace that every older store is. */
export const inWorkspace = (store: SqlStore, table: string): string =>
  store.has(table, "workspace") ? "workspace = 'default'" : "1 = 1";

export function pointOf(row: SqlRow): TrackedPoint {
  const value = row["is_nan"] === 1n ? Number.NaN : Number(row["value"]);
  return { key: text(row["key"]), value, step: whole(row["step"]), timestamp: whole(row["timestamp"]) };
}

export const text = (value: SQLOutputValue | undefined): string =>
  value === null || value === undefined ? "" : String(value);

export function whole(value: SQLOutputValue | undefined): number | bigint {
  const number = Number(value ?? 0);
  return Number.isSafeInteger(number) ? number : BigInt(text(value));
}

export const optional = <Key extends string>(
  key: Key,
  value: SQLOutputValue | undefined,
): { [member in Key]?: string } =>
  (value === null || value === undefined || value === "" ? {} : { [key]: String(value) }) as {
    [member in Key]?: string;
  };
