import { EspalierError } from "@espalier/core";
import type { RecordDatabase } from "../../database.ts";
import { inList, listParameter, prepared } from "../../prepared.ts";
import { type MetricPoint, metricValue, type StoredPoint } from "../metrics.ts";

export interface HistoryPage {
  points: MetricPoint[];
  /** Absent on the last page. */
  next?: string;
}

export interface RunPoint extends MetricPoint {
  runId: string;
}

/** Histories of metrics. They may be long, so all of it reads beside the writer. */
export interface HistoryQueries {
  /** One key of one run by (timestamp, step, value), a page of at most `limit` points; `after` is the `next` of the page before. */
  page(runId: string, key: string, limit: number, after?: string): Promise<HistoryPage>;
  /** One key of several runs, by run, then as `page` has it; `limit` points altogether. */
  ofRuns(runIds: readonly string[], key: string, limit: number): Promise<RunPoint[]>;
  /**
   * One key of one run for a chart, by (step, timestamp, value): all points when they are no more than `limit`, else every so-manieth, the
   * first and the last among them (of a limit of 1 the last). `steps` are the first and the last step that count.
   */
  sample(runId: string, key: string, limit: number, steps?: readonly [Whole, Whole]): Promise<RunPoint[]>;
}

type Whole = number | bigint;

const leastStep = -(2n ** 63n);
const greatestStep = 2n ** 63n - 1n;
const order = "timestamp, step, value, is_nan";

export function createHistoryQueries(database: RecordDatabase): HistoryQueries {
  const { reader, projectId, kind } = database;
  const series = prepared<{ run_id: string; series_id: number }>(
    database,
    `SELECT run_id, series_id FROM latest_metrics WHERE project_id = ? AND ${inList(database, "run_id")} AND key = ? ORDER BY run_id`,
  );
  const first = prepared<StoredPoint>(
    database,
    `SELECT step, timestamp, value, is_nan FROM metrics WHERE series_id = ? ORDER BY ${order} LIMIT ?`,
  );
  const following = prepared<StoredPoint>(
    database,
    `SELECT step, timestamp, value, is_nan FROM metrics WHERE series_id = ? AND (${order}) > (?, ?, ?, ?) ORDER BY ${order} LIMIT ?`,
  );
  const within = "series_id = ? AND step >= ? AND step <= ?";
  const extent = prepared<{ points: number; least: Whole | null; greatest: Whole | null }>(
    database,
    `SELECT count(*) AS points, min(step) AS least, max(step) AS greatest FROM metrics WHERE ${within}`,
  );
  const byStep = prepared<StoredPoint>(
    database,
    `SELECT step, timestamp, value, is_nan FROM metrics WHERE ${within} ORDER BY step, timestamp, value, is_nan LIMIT ?`,
  );
  const at = "point.step, point.timestamp, point.value, point.is_nan";
  const atSteps = prepared<StoredPoint>(
    database,
    kind === "sqlite"
      ? `SELECT ${at} FROM json_each(?) wanted CROSS JOIN metrics point
          ON point.series_id = ? AND point.step = wanted.value ORDER BY ${at}`
      : // OFFSET keeps PostgreSQL from reading the whole history for a join.
        `SELECT ${at} FROM unnest(?::bigint[]) wanted(step) CROSS JOIN LATERAL (SELECT * FROM metrics one
          WHERE one.series_id = ? AND one.step = wanted.step OFFSET 0) point ORDER BY ${at}`,
  );
  const atPlaces = prepared<StoredPoint>(
    database,
    `SELECT step, timestamp, value, is_nan FROM (
      SELECT step, timestamp, value, is_nan, row_number() OVER (ORDER BY step, timestamp, value, is_nan) AS place
      FROM metrics WHERE ${within}) numbered
      WHERE ${kind === "sqlite" ? "place IN (SELECT value FROM json_each(?))" : "place = ANY(?::bigint[])"} ORDER BY place`,
  );
  const wholes = (values: readonly Whole[]): string =>
    kind === "sqlite" ? `[${values.join()}]` : `{${values.join()}}`;

  const seriesOf = async (runIds: readonly string[], key: string): Promise<{ run_id: string; series_id: number }[]> =>
    series.all(database.kysely, [projectId, listParameter(database, runIds), key]);

  return {
    page: async (runId, key, limit, after) => {
      const from = after === undefined ? undefined : readToken(after);
      const [found] = await seriesOf([runId], key);
      if (found === undefined) return { points: [] };
      const rows =
        from === undefined
          ? await first.all(reader, [found.series_id, limit + 1])
          : await following.all(reader, [found.series_id, ...from, limit + 1]);
      const shown = rows.length > limit ? rows.slice(0, limit) : rows;
      const last = shown.at(-1);
      return {
        points: shown.map((row) => toPoint(key, row)),
        ...(rows.length > limit && last !== undefined ? { next: writeToken(last) } : {}),
      };
    },
    ofRuns: async (runIds, key, limit) => {
      const points: RunPoint[] = [];
      for (const { run_id: runId, series_id } of await seriesOf([...new Set(runIds)], key)) {
        const left = limit - points.length;
        if (left <= 0) break;
        for (const row of await first.all(reader, [series_id, left])) points.push({ runId, ...toPoint(key, row) });
      }
      return points;
    },
    sample: async (runId, key, limit, [from, to] = [leastStep, greatestStep]) => {
      const [found] = await seriesOf([runId], key);
      if (found === undefined) return [];
      const bounds = [found.series_id, from, to];
      const { points = 0, least, greatest } = (await extent.first(reader, bounds)) ?? {};
      const give = (rows: readonly StoredPoint[]): RunPoint[] => rows.map((row) => ({ runId, ...toPoint(key, row) }));
      if (points === 0 || least == null || greatest == null) return [];
      if (points <= limit) return give(await byStep.all(reader, [...bounds, limit]));
      const places = samplePlaces(points, limit);
      // One point a step, and steps at one distance: then the place tells the step, and nothing has to be counted through.
      const distance = evenDistance(BigInt(least), BigInt(greatest), points);
      if (distance !== undefined) {
        const wanted = places.map((place) => BigInt(least) + BigInt(place) * distance);
        const rows = await atSteps.all(reader, [wholes(wanted), found.series_id]);
        if (rows.length === places.length && rows.every((row, index) => BigInt(row.step) === wanted[index])) {
          return give(rows);
        }
      }
      return give(await atPlaces.all(reader, [...bounds, wholes(places.map((place) => place + 1))]));
    },
  };
}

/** Where the sample's points lie among `count` in order: the first of each of `limit` shares, and the very last instead of the last of these. */
export function samplePlaces(count: number, limit: number): number[] {
  const share = Math.floor(count / limit);
  const greater = count % limit;
  const places = Array.from({ length: limit }, (_, index) => index * share + Math.min(index, greater));
  places[limit - 1] = count - 1;
  return places;
}

function evenDistance(least: bigint, greatest: bigint, points: number): bigint | undefined {
  const gaps = BigInt(points - 1);
  const span = greatest - least;
  return gaps > 0n && span >= gaps && span % gaps === 0n ? span / gaps : undefined;
}

function toPoint(key: string, row: StoredPoint): MetricPoint {
  return { key, value: metricValue(row), step: row.step, timestamp: row.timestamp };
}

function writeToken({ timestamp, step, value, is_nan }: StoredPoint): string {
  // As texts: JSON has neither 64-bit integers nor infinities.
  return Buffer.from(JSON.stringify([timestamp, step, value, is_nan].map(String))).toString("base64url");
}

function readToken(token: string): (number | bigint)[] {
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(token, "base64url").toString());
  } catch (error) {
    throw badToken(error);
  }
  if (!Array.isArray(parts) || parts.length !== 4) throw badToken(undefined);
  const [timestamp, step, value, isNan] = parts.map(String);
  if (![timestamp, step, isNan].every((text) => /^-?\d{1,19}$/.test(text ?? ""))) throw badToken(undefined);
  const real = Number(value);
  if (Number.isNaN(real)) throw badToken(undefined);
  const [at, of, flag] = [timestamp, step, isNan].map((text) => BigInt.asIntN(64, BigInt(text ?? "0")));
  return [at ?? 0n, of ?? 0n, real, flag ?? 0n];
}

function badToken(cause: unknown): EspalierError {
  return new EspalierError("INVALID_INPUT", "The page token is not one that a page of this history gave", {
    cause,
    at: "page_token",
  });
}
