import type { RecordDatabase, RecordTransaction } from "../database.ts";

/** One logged value. `step` and `timestamp` (ms) are 64-bit integers: beyond 2^53 they are bigint. `value` may be NaN or ±Infinity. */
export interface MetricPoint {
  key: string;
  value: number;
  step: number | bigint;
  timestamp: number | bigint;
}

interface StoredPoint {
  project_id: string;
  run_id: string;
  key: string;
  step: number | bigint;
  timestamp: number | bigint;
  value: number;
  is_nan: number;
}

const rowsAStatement = 500;

/** Logs points and keeps each key's latest. A point that is there already is ignored, so a repeated batch changes nothing. */
export async function logMetrics(
  database: RecordDatabase,
  transaction: RecordTransaction,
  runId: string,
  points: readonly MetricPoint[],
): Promise<void> {
  const rows = points.map((point): StoredPoint => {
    const isNan = Number.isNaN(point.value);
    return {
      project_id: database.projectId,
      run_id: runId,
      key: point.key,
      step: wholeNumber(point.step),
      timestamp: wholeNumber(point.timestamp),
      // SQLite has no negative zero: adding 0 removes it before PostgreSQL could keep it.
      value: isNan ? 0 : point.value + 0,
      is_nan: isNan ? 1 : 0,
    };
  });
  const latest = new Map<string, StoredPoint>();
  for (const row of rows) {
    const known = latest.get(row.key);
    if (known === undefined || isLater(row, known)) latest.set(row.key, row);
  }
  for (let start = 0; start < rows.length; start += rowsAStatement) {
    await transaction
      .insertInto("metrics")
      .values(rows.slice(start, start + rowsAStatement))
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
  // Sorted, so that two writers of one run lock the rows in one order.
  const newest = [...latest.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  for (let start = 0; start < newest.length; start += rowsAStatement) {
    await transaction
      .insertInto("latest_metrics")
      .values(newest.slice(start, start + rowsAStatement))
      .onConflict((conflict) =>
        conflict
          .columns(["project_id", "run_id", "key"])
          .doUpdateSet((columns) => ({
            step: columns.ref("excluded.step"),
            timestamp: columns.ref("excluded.timestamp"),
            value: columns.ref("excluded.value"),
            is_nan: columns.ref("excluded.is_nan"),
          }))
          .where((columns) =>
            columns(
              columns.refTuple("excluded.step", "excluded.timestamp", "excluded.value", "excluded.is_nan"),
              ">",
              columns.refTuple(
                "latest_metrics.step",
                "latest_metrics.timestamp",
                "latest_metrics.value",
                "latest_metrics.is_nan",
              ),
            ),
          ),
      )
      .execute();
  }
}

/** The value as it was logged. */
export function metricValue(row: { value: number; is_nan: number }): number {
  return row.is_nan === 1 ? Number.NaN : row.value;
}

/** Latest is the greatest (step, timestamp, value), never the last to arrive; of two equal ones the NaN, so that order decides nothing. */
export function isLater(a: Omit<StoredPoint, "project_id" | "run_id" | "key">, b: typeof a): boolean {
  if (a.step !== b.step) return a.step > b.step;
  if (a.timestamp !== b.timestamp) return a.timestamp > b.timestamp;
  if (a.value !== b.value) return a.value > b.value;
  return a.is_nan > b.is_nan;
}

function wholeNumber(value: number | bigint): number | bigint {
  if (typeof value === "bigint") return value;
  const whole = Math.trunc(value);
  // Above 2^53 a double is still a whole number, and both databases want it as an integer.
  return Number.isSafeInteger(whole) ? whole : BigInt(whole);
}
