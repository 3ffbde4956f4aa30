import type { RecordDatabase } from "../database.ts";
import { prepared } from "../prepared.ts";

export interface CurveFilter {
  step?: string | undefined;
  branch?: number | undefined;
  key?: string | undefined;
}

export interface CurveBucket {
  from: number;
  to: number;
  at: number;
  low: number;
  high: number;
  mean: number;
  points: number;
}

export interface MetricCurve {
  step: string;
  branch: number;
  attemptId: string;
  key: string;
  points: number;
  notANumber: number;
  by: "step" | "time";
  buckets: CurveBucket[];
}

export interface CurveQueries {
  /**
   * The curves of a run's attempts, and of those that its cached steps came from, each in at most so many buckets. Reads beside the writer:
   * a curve may have millions of points.
   */
  ofRun(runId: string, filter: CurveFilter, buckets: number): Promise<{ curves: MetricCurve[]; leftOut: number }>;
}

const mostCurves = 200;
/** Beyond it a step is no JSON number, and differences of steps would leave 64 bits. */
const greatestStep = Number.MAX_SAFE_INTEGER;

interface SeriesRow {
  step: string;
  branch: number;
  attempt_id: string;
  key: string;
  series_id: number;
}

export function createCurveQueries(database: RecordDatabase): CurveQueries {
  const { kysely, reader, projectId } = database;
  const within = `series_id = ? AND step BETWEEN ${-greatestStep} AND ${greatestStep}`;
  const extent = prepared<
    Record<"points" | "numbers", number> & Record<"first" | "last" | "begin" | "end", number | null>
  >(
    database,
    `SELECT count(*) AS points, count(CASE WHEN is_nan = 0 THEN 1 END) AS numbers, min(step) AS first, max(step) AS last,
      min(timestamp) AS begin, max(timestamp) AS "end" FROM metrics WHERE ${within}`,
  );
  const cut = (column: "step" | "timestamp") =>
    prepared<CurveBucket>(
      database,
      `SELECT (${column} - CAST(? AS bigint)) / CAST(? AS bigint) AS bucket, min(step) AS "from", max(step) AS "to",
        min(timestamp) AS at, min(value) AS low, max(value) AS high, avg(value) AS mean, count(*) AS points
        FROM metrics WHERE ${within} AND is_nan = 0 GROUP BY 1 ORDER BY 1`,
    );
  const byStep = cut("step");
  const byTime = cut("timestamp");

  const seriesOf = async (runId: string, filter: CurveFilter): Promise<SeriesRow[]> => {
    const own = kysely
      .selectFrom("attempts")
      .select(["step", "branch", "attempt_id"])
      .where("project_id", "=", projectId)
      .where("run_id", "=", runId);
    const cached = kysely
      .selectFrom("steps")
      .select(["step", "branch", (builder) => builder.ref("cached_from").$notNull().as("attempt_id")])
      .where("project_id", "=", projectId)
      .where("run_id", "=", runId)
      .where("cached_from", "is not", null);
    let query = kysely
      .selectFrom(own.unionAll(cached).as("tried"))
      .innerJoin("latest_metrics as series", "series.run_id", "tried.attempt_id")
      .select(["tried.step", "tried.branch", "tried.attempt_id", "series.key", "series.series_id"])
      .where("series.project_id", "=", projectId)
      .orderBy("tried.step")
      .orderBy("tried.branch")
      .orderBy("series.key")
      .orderBy("tried.attempt_id");
    if (filter.step !== undefined) query = query.where("tried.step", "=", filter.step);
    if (filter.branch !== undefined) query = query.where("tried.branch", "=", filter.branch);
    if (filter.key !== undefined) query = query.where("series.key", "=", filter.key);
    return query.execute();
  };

  const curveOf = async (series: SeriesRow, buckets: number): Promise<MetricCurve> => {
    const found = await extent.first(reader, [series.series_id]);
    const [first, last] = [Number(found?.first ?? 0), Number(found?.last ?? 0)];
    const [begin, end] = [Number(found?.begin ?? 0), Number(found?.end ?? 0)];
    const by = first === last && begin !== end ? "time" : "step";
    const [least, greatest, statement] = by === "step" ? [first, last, byStep] : [begin, end, byTime];
    const width = Math.max(1, Math.ceil((greatest - least + 1) / buckets));
    const rows = await statement.all(reader, [least, width, series.series_id]);
    const points = Number(found?.points ?? 0);
    return {
      step: series.step,
      branch: series.branch,
      attemptId: series.attempt_id,
      key: series.key,
      points,
      notANumber: points - Number(found?.numbers ?? 0),
      by,
      buckets: rows.map((row) => ({
        from: Number(row.from),
        to: Number(row.to),
        at: Number(row.at),
        low: row.low,
        high: row.high,
        mean: row.mean,
        points: Number(row.points),
      })),
    };
  };

  return {
    ofRun: async (runId, filter, buckets) => {
      const series = await seriesOf(runId, filter);
      const curves: MetricCurve[] = [];
      for (const one of series.slice(0, mostCurves)) curves.push(await curveOf(one, buckets));
      return { curves, leftOut: Math.max(0, series.length - mostCurves) };
    },
  };
}
