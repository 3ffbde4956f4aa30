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

export interface RunDataReader {
  /** The runs of these rows with all that is logged to them, in the same order. At most some thousands at a time. */
  load(runner: QueryRunner, rows: readonly RunRow[]): Promise<TrackedRun[]>;
}

export function createRunDataReader(database: RecordDatabase): RunDataReader {
  const where = (table: string): string => `${table}.project_id = ? AND ${inList(database, `${table}.run_id`)}`;
  const metrics = prepared<
    OfRun<{ key: string; step: number | bigint; timestamp: number | bigint; value: number; is_nan: number }>
  >(
    database,
    `SELECT run_id, key, step, timestamp, value, is_nan FROM latest_metrics WHERE ${where("latest_metrics")} ORDER BY run_id, key`,
  );
  const params = prepared<OfRun<KeyValue>>(
    database,
    `SELECT run_id, key, value FROM params WHERE ${where("params")} ORDER BY run_id, key`,
  );
  const tags = prepared<OfRun<KeyValue>>(
    database,
    `SELECT run_id, key, value FROM tags WHERE ${where("tags")} ORDER BY run_id, key`,
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
  const models = prepared<OfRun<{ model_id: string; direction: string; step: number | bigint }>>(
    database,
    `SELECT run_id, model_id, direction, step FROM run_models WHERE ${where("run_models")} ORDER BY run_id, direction, step, model_id`,
  );

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
      for (const row of await metrics.all(runner, parameters)) {
        const { key, step, timestamp } = row;
        runs.get(row.run_id)?.metrics.push({ key, value: metricValue(row), step, timestamp });
      }
      for (const { run_id, key, value } of await params.all(runner, parameters)) {
        runs.get(run_id)?.params.push({ key, value });
      }
      for (const { run_id, key, value } of await tags.all(runner, parameters))
        runs.get(run_id)?.tags.push({ key, value });
      const inputs = await datasets.all(runner, parameters);
      const found = new Map<string, RunDataset>();
      for (const row of inputs) {
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
      if (inputs.length > 0) {
        for (const { run_id, dataset_id, key, value } of await inputTags.all(runner, parameters)) {
          found.get(`${run_id} ${dataset_id}`)?.tags.push({ key, value });
        }
      }
      for (const { run_id, model_id, direction, step } of await models.all(runner, parameters)) {
        const run = runs.get(run_id);
        if (direction === "input") run?.modelInputs.push(model_id);
        else run?.modelOutputs.push({ modelId: model_id, step });
      }
      return [...runs.values()];
    },
  };
}
