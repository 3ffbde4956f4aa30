import type { RecordDatabase } from "../../database.ts";
import { inList, listParameter, prepared, type QueryRunner } from "../../prepared.ts";
import { type MetricPoint, metricValue } from "../metrics.ts";
import { artifactRoot, type KeyValue, type LifecycleStage } from "./experiments.ts";

/** `kind`: pipeline (a run of ours), attempt (its child), external (made by an MLflow client). Times are ms. */
export interface TrackedRunInfo {
  id: string;
  name: string;
  experimentId: string;
  parentRunId: string | undefined;
  kind: "pipeline" | "attempt" | "external";
  userId: string;
  status: string;
  lifecycleStage: LifecycleStage;
  startTime: number | bigint;
  endTime: number | bigint | undefined;
  artifactUri: string;
}

export interface RunDataset {
  name: string;
  digest: string;
  sourceType: string;
  source: string;
  schema: string | undefined;
  profile: string | undefined;
  tags: KeyValue[];
}

export interface TrackedRun extends TrackedRunInfo {
  /** The latest of each key. */
  metrics: MetricPoint[];
  params: KeyValue[];
  tags: KeyValue[];
  datasets: RunDataset[];
  modelInputs: string[];
  modelOutputs: { modelId: string; step: number | bigint }[];
}

export interface RunRow {
  run_id: string;
  experiment_id: string;
  parent_run_id: string | null;
  kind: string;
  run_name: string;
  user_id: string;
  status: string;
  lifecycle_stage: string;
  start_time: number | bigint;
  end_time: number | bigint | null;
  artifact_uri: string | null;
}

export const runColumns =
  "run_id, experiment_id, parent_run_id, kind, run_name, user_id, status, lifecycle_stage, start_time, end_time, artifact_uri";

export function toRunInfo(row: RunRow): TrackedRunInfo {
  return {
    id: row.run_id,
    name: row.run_name,
    experimentId: row.experiment_id,
    parentRunId: row.parent_run_id ?? undefined,
    kind: row.kind as TrackedRunInfo["kind"],
    userId: row.user_id,
    status: row.status,
    lifecycleStage: row.lifecycle_stage as LifecycleStage,
    startTime: row.start_time,
    endTime: row.end_time ?? undefined,
    // Runs of pipelines are made without one.
    artifactUri: row.artifact_uri ?? `${artifactRoot}${row.experiment_id}/${row.run_id}/artifacts`,
  };
}

type OfRun<Row> = Row & { run_id: string };

const [metricKind, paramKind, tagKind, modelKind, inputKind] = [1, 2, 3, 4, 5] as const;
const noNumber = "CAST(NULL AS DOUBLE PRECISION)";

/** Of a model: `key` is its id, `text` the direction. Of an input: `key` is the dataset's id. */
type LoggedRow = OfRun<{
  kind: number;
  key: string;
  text: string | null;
  number: number | null;
  is_nan: number;
  step: number | bigint;
  timestamp: number | bigint;
}>;

function addLogged(run: TrackedRun, { kind, key, text, number, is_nan, step, timestamp }: LoggedRow): void {
  const value = text ?? "";
  if (kind === metricKind)
    run.metrics.push({ key, value: metricValue({ value: number ?? 0, is_nan }), step, timestamp });
  else if (kind === paramKind) run.params.push({ key, value });
  else if (kind === tagKind) run.tags.push({ key, value });
  else if (value === "input") run.modelInputs.push(key);
  else run.modelOutputs.push({ modelId: key, step });
}

export interface RunDataReader {
  /** The runs of these rows with all that is logged to them, in the same order. At most some thousands at a time. */
  load(runner: QueryRunner, rows: readonly RunRow[]): Promise<TrackedRun[]>;
}

export function createRunDataReader(database: RecordDatabase): RunDataReader {
  const where = (table: string): string => `${table}.project_id = ? AND ${inList(database, `${table}.run_id`)}`;
  // All that most runs have, in one statement: on PostgreSQL each further one costs a round trip.
  const logged = prepared<LoggedRow>(
    database,
    `SELECT kind, run_id, key, text, number, is_nan, step, timestamp FROM (
      SELECT ${metricKind} AS kind, run_id, key, CAST(NULL AS TEXT) AS text, value AS number, is_nan, step, timestamp
        FROM latest_metrics WHERE ${where("latest_metrics")}
      UNION ALL SELECT ${paramKind}, run_id, key, value, ${noNumber}, 0, 0, 0 FROM params WHERE ${where("params")}
      UNION ALL SELECT ${tagKind}, run_id, key, value, ${noNumber}, 0, 0, 0 FROM tags WHERE ${where("tags")}
      UNION ALL SELECT ${modelKind}, run_id, model_id, direction, ${noNumber}, 0, step, 0
        FROM run_models WHERE ${where("run_models")}
      UNION ALL SELECT ${inputKind}, run_id, dataset_id, CAST(NULL AS TEXT), ${noNumber}, 0, 0, 0 FROM inputs WHERE ${where("inputs")}
    ) AS logged ORDER BY kind, run_id, CASE WHEN kind = ${modelKind} THEN step ELSE 0 END, key`,
  );
  const datasets = prepared<
    OfRun<{
      dataset_id: string;
      name: string;
      digest: string;
      source_type: string;
      source: string;
      schema_json: string | null;
      profile_json: string | null;
    }>
  >(
    database,
    `SELECT inputs.run_id, inputs.dataset_id, name, digest, source_type, source, schema_json, profile_json FROM inputs
      JOIN input_datasets data ON data.project_id = inputs.project_id AND data.dataset_id = inputs.dataset_id
      WHERE ${where("inputs")} ORDER BY inputs.run_id, name, digest`,
  );
  const inputTags = prepared<OfRun<KeyValue & { dataset_id: string }>>(
    database,
    `SELECT run_id, dataset_id, key, value FROM input_tags WHERE ${where("input_tags")} ORDER BY run_id, dataset_id, key`,
  );
  async function addDatasets(
    runner: QueryRunner,
    runs: ReadonlyMap<string, TrackedRun>,
    parameters: readonly unknown[],
  ): Promise<void> {
    const found = new Map<string, RunDataset>();
    for (const row of await datasets.all(runner, parameters)) {
      const dataset: RunDataset = {
        name: row.name,
        digest: row.digest,
        sourceType: row.source_type,
        source: row.source,
        schema: row.schema_json ?? undefined,
        profile: row.profile_json ?? undefined,
        tags: [],
      };
      found.set(`${row.run_id} ${row.dataset_id}`, dataset);
      runs.get(row.run_id)?.datasets.push(dataset);
    }
    for (const { run_id, dataset_id, key, value } of await inputTags.all(runner, parameters)) {
      found.get(`${run_id} ${dataset_id}`)?.tags.push({ key, value });
    }
  }

  return {
    load: async (runner, rows) => {
      const runs = new Map<string, TrackedRun>();
      for (const row of rows) {
        runs.set(row.run_id, {
          ...toRunInfo(row),
          metrics: [],
          params: [],
          tags: [],
          datasets: [],
          modelInputs: [],
          modelOutputs: [],
        });
      }
      if (runs.size === 0) return [];
      const parameters = [database.projectId, listParameter(database, [...runs.keys()])];
      let hasInputs = false;
      for (const row of await logged.all(runner, Array.from({ length: 5 }, () => parameters).flat())) {
        const run = runs.get(row.run_id);
        if (row.kind === inputKind) hasInputs = true;
        else if (run !== undefined) addLogged(run, row);
      }
      if (hasInputs) await addDatasets(runner, runs, parameters);
      return [...runs.values()];
    },
  };
}
