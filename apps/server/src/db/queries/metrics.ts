import { bulkInsert } from "../bulk.ts";
import type { RecordDatabase, RecordTransaction } from "../database.ts";
import { prepared } from "../prepared.ts";

/** One logged value. `step` and `timestamp` (ms) are 64-bit integers: beyond 2^53 they are bigint. `value` may be NaN or ±Infinity. */
export interface MetricPoint {
  key: string;
  value: number;
  step: number | bigint;
  timestamp: number | bigint;
}

export interface StoredPoint {
  step: number | bigint;
  timestamp: number | bigint;
  value: number;
  is_nan: number;
}

/** One key of one run. */
interface Series {
  id: number;
  runId: string;
  key: string;
  points: StoredPoint[];
  latest: StoredPoint;
}

type StoredSeries = StoredPoint & { run_id: string; key: string; series_id: number };

function statementsFor(kind: RecordDatabase["kind"]) {
  const columns =
    "latest.run_id, latest.key, latest.series_id, latest.step, latest.timestamp, latest.value, latest.is_nan";
  return {
    find: prepared<StoredSeries>(
      { kind },
      kind === "sqlite"
        ? `SELECT ${columns} FROM json_each(?) wanted CROSS JOIN latest_metrics latest
            ON latest.project_id = ? AND latest.run_id = wanted.value ->> 0 AND latest.key = wanted.value ->> 1`
        : // LIMIT keeps PostgreSQL from reading the whole table for a join, as it does where it takes a growing table for a small one.
          `SELECT ${columns} FROM unnest(?::text[], ?::text[]) wanted(run_id, key) CROSS JOIN LATERAL (SELECT * FROM latest_metrics one
            WHERE one.project_id = ? AND one.run_id = wanted.run_id AND one.key = wanted.key LIMIT 1) latest`,
    ),
    number: prepared<{ value: number }>(
      { kind },
      "UPDATE counters SET value = value + ? WHERE project_id = '' AND name = 'series' RETURNING value",
    ),
    latest: bulkInsert(
      kind,
      "latest_metrics",
      {
        project_id: "text",
        run_id: "text",
        key: "text",
        series_id: "integer",
        step: "integer",
        timestamp: "integer",
        value: "real",
        is_nan: "integer",
      },
      `(project_id, run_id, key) DO UPDATE SET step = excluded.step, timestamp = excluded.timestamp, value = excluded.value,
        is_nan = excluded.is_nan WHERE (excluded.step, excluded.timestamp, excluded.value, excluded.is_nan)
        > (latest_metrics.step, latest_metrics.timestamp, latest_metrics.value, latest_metrics.is_nan)`,
    ),
    points: bulkInsert(
      kind,
      "metrics",
      { series_id: "integer", step: "integer", timestamp: "integer", value: "real", is_nan: "integer" },
      "DO NOTHING",
    ),
  };
}

const statements = { sqlite: statementsFor("sqlite"), postgres: statementsFor("postgres") };

/** Logs points of one run and keeps each key's latest. A point that is there already is ignored, so a repeated batch changes nothing. */
export async function logMetrics(
  database: RecordDatabase,
  transaction: RecordTransaction,
  runId: string,
  points: readonly MetricPoint[],
): Promise<void> {
  await logMetricsOfRuns(database, transaction, [{ runId, points }]);
}

/** As `logMetrics`, for many runs at once. Costs by what is logged, never by what is there. */
export async function logMetricsOfRuns(
  database: RecordDatabase,
  transaction: RecordTransaction,
  logged: readonly { runId: string; points: readonly MetricPoint[] }[],
): Promise<void> {
  const series = gather(logged);
  if (series.length === 0) return;
  const { kind, projectId } = database;
  const statement = statements[kind];
  const find = async (wanted: readonly Series[]): Promise<Map<string, StoredSeries>> => {
    const parameters =
      kind === "sqlite"
        ? [JSON.stringify(wanted.map(({ runId, key }) => [runId, key])), projectId]
        : [wanted.map(({ runId }) => runId), wanted.map(({ key }) => key), projectId];
    const rows = await statement.find.all(transaction, parameters);
    return new Map(rows.map((row) => [`${row.run_id}\0${row.key}`, row]));
  };

  const stored = await find(series);
  const isNew = (one: Series): boolean => !stored.has(`${one.runId}\0${one.key}`);
  const fresh = series.filter(isNew);
  if (fresh.length > 0) {
    const last = (await statement.number.first(transaction, [fresh.length]))?.value ?? fresh.length;
    for (const [index, one] of fresh.entries()) one.id = last - index;
  }
  const later: Series[] = [];
  for (const one of series) {
    const known = stored.get(`${one.runId}\0${one.key}`);
    if (known !== undefined) one.id = known.series_id;
    if (known === undefined || isLater(one.latest, known)) later.push(one);
  }
  await statement.latest.run(
    transaction,
    later.map(({ runId, key, id, latest }) => [
      projectId,
      runId,
      key,
      id,
      latest.step,
      latest.timestamp,
      latest.value,
      latest.is_nan,
    ]),
  );
  if (kind === "postgres" && fresh.length > 0) {
    // Another control plane may have made the same series meanwhile: its number counts.
    const made = await find(fresh);
    for (const one of fresh) one.id = made.get(`${one.runId}\0${one.key}`)?.series_id ?? one.id;
  }
  await statement.points.run(
    transaction,
    series.flatMap(({ id, points }) =>
      points.map(({ step, timestamp, value, is_nan }) => [id, step, timestamp, value, is_nan]),
    ),
  );
}

/** Sorted, so that two writers of the same runs lock the rows in one order. */
function gather(logged: readonly { runId: string; points: readonly MetricPoint[] }[]): Series[] {
  const series = new Map<string, Series>();
  for (const { runId, points } of logged) {
    for (const point of points) {
      const stored = toStored(point);
      const key = point.key.toWellFormed();
      const name = `${runId}\0${key}`;
      const known = series.get(name);
      if (known === undefined) {
        series.set(name, { id: 0, runId, key, points: [stored], latest: stored });
      } else {
        known.points.push(stored);
        if (isLater(stored, known.latest)) known.latest = stored;
      }
    }
  }
  return [...series.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
}

function toStored(point: MetricPoint): StoredPoint {
  const isNan = Number.isNaN(point.value);
  return {
    step: wholeNumber(point.step),
    timestamp: wholeNumber(point.timestamp),
    // SQLite has no negative zero: adding 0 removes it before PostgreSQL could keep it.
    value: isNan ? 0 : point.value + 0,
    is_nan: isNan ? 1 : 0,
  };
}

/** The value as it was logged. */
export function metricValue(row: { value: number; is_nan: number }): number {
  return row.is_nan === 1 ? Number.NaN : row.value;
}

/** Latest is the greatest (step, timestamp, value), never the last to arrive; of two equal ones the NaN, so that order decides nothing. */
export function isLater(a: StoredPoint, b: StoredPoint): boolean {
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
