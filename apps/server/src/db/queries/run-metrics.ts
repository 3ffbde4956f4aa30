import { type Digest, EspalierError, type ParameterValue } from "@espalier/core";
import type { RecordDatabase } from "../database.ts";
import { keyset, type Page, type PageRequest } from "../page.ts";
import { logMetrics, type MetricPoint, metricValue } from "./metrics.ts";
import type { RunQueries, RunSummary } from "./runs.ts";

/** A point of a pipeline's run: which step said it, in which attempt. */
export interface RunMetric extends MetricPoint {
  stepName: string;
  branch: number;
  attemptId: string;
}

export interface ComparedRuns {
  /** In the order asked for. */
  runs: RunSummary[];
  /** One value a run, in the same order; null where a run has none. */
  params: { name: string; values: (ParameterValue | null)[]; differs: boolean }[];
  /** The latest value of each key of each step (its own attempts', or the attempt's that a cached step came from). */
  metrics: { step: string; key: string; values: (number | null)[]; differs: boolean }[];
  outputs: { step: string; output: string; digests: (Digest | null)[]; differs: boolean }[];
}

export interface RunMetricQueries {
  /** Every point of a run's own attempts, by attempt, key, step and time. */
  history(
    runId: string,
    filter: { step?: string | undefined; key?: string | undefined },
    page: PageRequest,
  ): Promise<Page<RunMetric>>;
  /** The latest point of each key of each step; a cached step shows those of the attempt it came from. */
  latest(runId: string): Promise<RunMetric[]>;
  /** Logs points to one tracked run (an attempt, or a run of an MLflow client). Idempotent. */
  log(trackedRunId: string, points: readonly MetricPoint[]): Promise<void>;
  /** 2 to 20 runs side by side. */
  compare(runIds: readonly string[]): Promise<ComparedRuns>;
}

/** Steps, branches and keys beyond this are left out: nobody reads them side by side. */
const mostLatest = 10_000;

export function createRunMetricQueries(database: RecordDatabase, runs: RunQueries): RunMetricQueries {
  const { kysely, projectId } = database;

  const latest = async (runId: string): Promise<RunMetric[]> => {
    const own = await kysely
      .selectFrom("attempts")
      .innerJoin("latest_metrics as metric", (join) =>
        join.onRef("metric.project_id", "=", "attempts.project_id").onRef("metric.run_id", "=", "attempts.attempt_id"),
      )
      .select([
        "attempts.step as step_name",
        "branch",
        "number",
        "attempt_id",
        "key",
        "metric.step",
        "timestamp",
        "value",
        "is_nan",
      ])
      .where("attempts.project_id", "=", projectId)
      .where("attempts.run_id", "=", runId)
      .orderBy("number")
      .limit(mostLatest)
      .execute();
    const cached = await kysely
      .selectFrom("steps")
      .innerJoin("latest_metrics as metric", (join) =>
        join.onRef("metric.project_id", "=", "steps.project_id").onRef("metric.run_id", "=", "steps.cached_from"),
      )
      .select([
        "steps.step as step_name",
        "branch",
        "metric.run_id as attempt_id",
        "key",
        "metric.step",
        "timestamp",
        "value",
        "is_nan",
      ])
      .where("steps.project_id", "=", projectId)
      .where("steps.run_id", "=", runId)
      .limit(mostLatest)
      .execute();
    // A later attempt's value replaces an earlier one's.
    const found = new Map<string, RunMetric>();
    for (const row of [...cached, ...own]) {
      found.set(JSON.stringify([row.step_name, row.branch, row.key]), toRunMetric(row));
    }
    return [...found.values()];
  };

  return {
    history: async (runId, filter, request) => {
      const keys = keyset(request, "ascending", {
        attempt_id: "text",
        key: "text",
        "metric.step": "integer",
        "metric.timestamp": "integer",
        "metric.value": "real",
        "metric.is_nan": "integer",
      });
      let query = kysely
        .selectFrom("attempts")
        .innerJoin("latest_metrics as series", (join) =>
          join
            .onRef("series.project_id", "=", "attempts.project_id")
            .onRef("series.run_id", "=", "attempts.attempt_id"),
        )
        .innerJoin("metrics as metric", "metric.series_id", "series.series_id")
        .select([
          "attempts.step as step_name",
          "branch",
          "attempt_id",
          "key",
          "metric.step",
          "metric.timestamp",
          "metric.value",
          "metric.is_nan",
        ])
        .where("attempts.project_id", "=", projectId)
        .where("attempts.run_id", "=", runId)
        .where(keys.after)
        .orderBy("attempt_id")
        .orderBy("key")
        .orderBy("metric.step")
        .orderBy("metric.timestamp")
        .orderBy("metric.value")
        .orderBy("metric.is_nan")
        .limit(keys.fetch);
      if (filter.step !== undefined) query = query.where("attempts.step", "=", filter.step);
      if (filter.key !== undefined) query = query.where("key", "=", filter.key);
      return keys.page(
        await query.execute(),
        (row) => [row.attempt_id, row.key, row.step, row.timestamp, row.value, row.is_nan],
        toRunMetric,
      );
    },
    latest,
    log: (trackedRunId, points) =>
      database.transaction((transaction) => logMetrics(database, transaction, trackedRunId, points)),
    compare: async (runIds) => {
      if (runIds.length < 2 || runIds.length > 20)
        throw new EspalierError("INVALID_INPUT", "2 to 20 runs can be compared");
      const sides: Side[] = [];
      for (const runId of runIds) {
        const run = await runs.get(runId);
        if (run === undefined) throw new EspalierError("NOT_FOUND", `There is no run ${runId}`);
        const { resolved: _, snapshots: __, ...rest } = run;
        const steps = (await runs.outputs(runId, { limit: 1000 })).items.filter((output) => output.branch === -1);
        sides.push({
          run: { ...rest, pipeline: run.pipeline.name },
          params: new Map(Object.entries(run.params)),
          metrics: new Map(
            (await latest(runId))
              .filter((one) => one.branch === -1)
              .map((one) => [JSON.stringify([one.stepName, one.key]), one.value]),
          ),
          outputs: new Map(steps.map((one) => [JSON.stringify([one.step, one.output]), one.artifact.digest])),
        });
      }
      return {
        runs: sides.map((side) => side.run),
        params: align(sides.map((side) => side.params)).map(([name, values]) => ({
          name,
          values,
          differs: differ(values),
        })),
        metrics: align(sides.map((side) => side.metrics)).map(([name, values]) => {
          const [step = "", key = ""] = JSON.parse(name) as string[];
          return { step, key, values, differs: differ(values) };
        }),
        outputs: align(sides.map((side) => side.outputs)).map(([name, digests]) => {
          const [step = "", output = ""] = JSON.parse(name) as string[];
          return { step, output, digests, differs: differ(digests) };
        }),
      };
    },
  };
}

interface Side {
  run: RunSummary;
  params: Map<string, ParameterValue>;
  metrics: Map<string, number>;
  outputs: Map<string, Digest>;
}

function align<Value>(sides: readonly Map<string, Value>[]): [string, (Value | null)[]][] {
  const names = new Set(sides.flatMap((side) => [...side.keys()]));
  return [...names].sort().map((name) => [name, sides.map((side) => side.get(name) ?? null)]);
}

function differ(values: readonly unknown[]): boolean {
  return values.some((value) => !Object.is(value, values[0]));
}

function toRunMetric(row: {
  step_name: string;
  branch: number;
  attempt_id: string;
  key: string;
  step: number | bigint;
  timestamp: number | bigint;
  value: number;
  is_nan: number;
}): RunMetric {
  return {
    stepName: row.step_name,
    branch: row.branch,
    attemptId: row.attempt_id,
    key: row.key,
    value: metricValue(row),
    step: row.step,
    timestamp: row.timestamp,
  };
}
