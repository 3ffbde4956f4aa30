import type { ColumnType } from "@espalier/core";
import { identifier, literal } from "@espalier/quality";
import type { TrafficDatabase } from "../monitoring/traffic.ts";

/** The rows of one day, by column. */
export interface DayRows {
  count: number;
  /** In the order of the model's inputs. */
  inputs: readonly (readonly unknown[])[];
  /** ms since the epoch. */
  times: readonly number[];
  labels: readonly (number | null)[];
}

export interface TrafficTable {
  path: string;
  time: string;
  label: string;
  inputs: readonly { name: string; type: ColumnType }[];
}

export async function readDay(database: TrafficDatabase, table: TrafficTable, day: string): Promise<DayRows> {
  const columns = [
    ...table.inputs.map(({ name }, index) => `${identifier(name)} AS c${index}`),
    `epoch_ms(${identifier(table.time)}) AS time`,
    `CAST(${identifier(table.label)} AS DOUBLE) AS label`,
  ];
  const time = identifier(table.time);
  // The file's own order: the same rows have the same numbers at every replay.
  const query =
    `SELECT ${columns.join(", ")} FROM read_parquet(${literal(table.path)}) ` +
    `WHERE ${time} >= TIMESTAMP ${literal(day)} AND ${time} < TIMESTAMP ${literal(day)} + INTERVAL 1 DAY`;
  const inputs: unknown[][] = table.inputs.map(() => []);
  const times: number[] = [];
  const labels: (number | null)[] = [];
  for await (const batch of database.batches(query)) {
    for (const [index, values] of inputs.entries()) {
      for (const value of batch[`c${index}`] ?? []) values.push(typeof value === "bigint" ? Number(value) : value);
    }
    for (const value of batch.time ?? []) times.push(Number(value));
    for (const value of batch.label ?? []) labels.push(value === null ? null : Number(value));
  }
  return { count: times.length, inputs, times, labels };
}
