import type { Selectable } from "kysely";
import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import type { LoggedModelsTable } from "../../schema/logged-models.ts";
import { metricValue } from "../metrics.ts";
import type { KeyValue, LifecycleStage } from "../tracking/experiments.ts";

export type LoggedModelStatus = "UNSPECIFIED" | "PENDING" | "READY" | "FAILED";

export interface LoggedModelMetric {
  key: string;
  value: number;
  /** Milliseconds since the epoch. */
  timestamp: number | bigint;
  step: number | bigint;
  runId: string;
  /** Empty: logged without a data set. */
  datasetName: string;
  datasetDigest: string;
}

export interface LoggedModel {
  id: string;
  experimentId: string;
  name: string;
  artifactLocation: string;
  sourceRunId: string | undefined;
  status: LoggedModelStatus;
  statusMessage: string | undefined;
  modelType: string | undefined;
  lifecycleStage: LifecycleStage;
  /** Milliseconds since the epoch, as `lastUpdateTime`. */
  creationTime: number;
  lastUpdateTime: number;
  params: KeyValue[];
  tags: KeyValue[];
  /** The newest `mostMetrics` at most. */
  metrics: LoggedModelMetric[];
}

/** A model's metrics are shown whole; one that a training loop logged to for days must not fill the memory. */
const mostMetrics = 1000;

/** Adds what is logged to each model, in one query a table. */
export async function withLogged(
  database: RecordDatabase,
  source: Pick<RecordTransaction, "selectFrom">,
  rows: readonly Selectable<LoggedModelsTable>[],
): Promise<LoggedModel[]> {
  const ids = rows.map((row) => row.model_id);
  if (ids.length === 0) return [];
  const pairs = async (table: "logged_model_params" | "logged_model_tags"): Promise<Map<string, KeyValue[]>> => {
    const found = new Map<string, KeyValue[]>(ids.map((id) => [id, []]));
    const stored = await source
      .selectFrom(table)
      .select(["model_id", "key", "value"])
      .where("project_id", "=", database.projectId)
      .where("model_id", "in", ids)
      .orderBy("model_id")
      .orderBy("key")
      .execute();
    for (const { model_id, key, value } of stored) found.get(model_id)?.push({ key, value });
    return found;
  };
  const params = await pairs("logged_model_params");
  const tags = await pairs("logged_model_tags");
  const metrics = await metricsOf(database, source, ids);
  return rows.map((row) => ({
    id: row.model_id,
    experimentId: row.experiment_id,
    name: row.name,
    artifactLocation: row.artifact_location,
    sourceRunId: row.source_run_id ?? undefined,
    status: row.status as LoggedModelStatus,
    statusMessage: row.status_message ?? undefined,
    modelType: row.model_type ?? undefined,
    lifecycleStage: row.lifecycle_stage as LifecycleStage,
    creationTime: row.creation_time,
    lastUpdateTime: row.last_updated_time,
    params: params.get(row.model_id) ?? [],
    tags: tags.get(row.model_id) ?? [],
    metrics: metrics.get(row.model_id) ?? [],
  }));
}

async function metricsOf(
  database: RecordDatabase,
  source: Pick<RecordTransaction, "selectFrom">,
  ids: readonly string[],
): Promise<Map<string, LoggedModelMetric[]>> {
  const found = new Map<string, LoggedModelMetric[]>(ids.map((id) => [id, []]));
  const stored = await source
    .selectFrom((from) =>
      from
        .selectFrom("logged_model_metrics")
        .selectAll()
        .select((columns) =>
          columns.fn
            .agg<number>("row_number")
            .over((over) =>
              over.partitionBy("model_id").orderBy("timestamp", "desc").orderBy("step", "desc").orderBy("key"),
            )
            .as("place"),
        )
        .where("project_id", "=", database.projectId)
        .where("model_id", "in", [...ids])
        .as("newest"),
    )
    .selectAll()
    .where("place", "<=", mostMetrics)
    .orderBy("model_id")
    .orderBy("key")
    .orderBy("timestamp")
    .orderBy("step")
    .execute();
  for (const row of stored) {
    found.get(row.model_id)?.push({
      key: row.key,
      value: metricValue(row),
      timestamp: row.timestamp,
      step: row.step,
      runId: row.run_id,
      datasetName: row.dataset_name,
      datasetDigest: row.dataset_digest,
    });
  }
  return found;
}
