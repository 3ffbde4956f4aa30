import type {
  SourceModel,
  SourceRun,
  TrackedExperiment,
  TrackedInput,
  TrackedModelLink,
  TrackedTags,
} from "@espalier/core";
import { loggedModelStatus } from "./logged-model-status.ts";
import { inWorkspace, optional, pointOf, type SqlRow, type SqlStore, text, whole } from "./sqlite-values.ts";

/** Experiments, runs and logged models of an SQL store. Runs come in pages, so that no table is held in memory. */
export function readSqlRuns(store: SqlStore): {
  experiments(): AsyncGenerator<TrackedExperiment>;
  runs(experimentId: string): AsyncGenerator<SourceRun>;
  loggedModels(experimentId: string): AsyncGenerator<SourceModel>;
} {
  const pairs = (sql: string, ...values: string[]): TrackedTags =>
    Object.fromEntries(store.all(sql, ...values).map((row) => [text(row["key"]), text(row["value"])]));

  return {
    async *experiments() {
      for (const row of store.all(
        `SELECT * FROM experiments WHERE ${inWorkspace(store, "experiments")} ORDER BY experiment_id`,
      )) {
        const id = text(row["experiment_id"]);
        yield {
          id,
          name: text(row["name"]),
          lifecycle: row["lifecycle_stage"] === "deleted" ? "deleted" : "active",
          tags: store.has("experiment_tags")
            ? pairs("SELECT key, value FROM experiment_tags WHERE experiment_id = ?", id)
            : {},
          ...(row["creation_time"] ? { createdAt: Number(row["creation_time"]) } : {}),
          ...(row["last_update_time"] ? { updatedAt: Number(row["last_update_time"]) } : {}),
        };
      }
    },
    async *runs(experimentId) {
      let last = "";
      for (;;) {
        const rows = store.all(
          "SELECT * FROM runs WHERE experiment_id = ? AND run_uuid > ? ORDER BY run_uuid LIMIT 500",
          experimentId,
          last,
        );
        for (const row of rows) yield readRun(store, pairs, experimentId, row);
        if (rows.length < 500) return;
        last = text(rows.at(-1)?.["run_uuid"]);
      }
    },
    async *loggedModels(experimentId) {
      if (!store.has("logged_models")) return;
      const rows = store.all(
        "SELECT * FROM logged_models WHERE experiment_id = ? AND lifecycle_stage <> 'deleted' ORDER BY model_id",
        experimentId,
      );
      for (const row of rows) yield readModel(store, experimentId, row);
    },
  };
}

type Pairs = (sql: string, ...values: string[]) => TrackedTags;

function readRun(store: SqlStore, pairs: Pairs, experimentId: string, row: SqlRow): SourceRun {
  const id = text(row["run_uuid"]);
  const tags = pairs("SELECT key, value FROM tags WHERE run_uuid = ?", id);
  const parent = tags["mlflow.parentRunId"];
  const ended = row["end_time"];
  return {
    run: {
      id,
      experimentId,
      name: text(row["name"]) || tags["mlflow.runName"] || id,
      user: text(row["user_id"]) || tags["mlflow.user"] || "",
      status: text(row["status"]) || "RUNNING",
      lifecycle: row["lifecycle_stage"] === "deleted" ? "deleted" : "active",
      startTime: Number(row["start_time"] ?? 0),
      ...(ended ? { endTime: Number(ended) } : {}),
      ...(parent === undefined ? {} : { parentRunId: parent }),
    },
    params: pairs("SELECT key, value FROM params WHERE run_uuid = ?", id),
    tags,
    metricKeys: store.all("SELECT DISTINCT key FROM metrics WHERE run_uuid = ?", id).map((one) => text(one["key"])),
    inputs: readInputs(store, id),
    models: readLinks(store, id),
    artifactUri: text(row["artifact_uri"]),
  };
}

function readInputs(store: SqlStore, runId: string): TrackedInput[] {
  if (!store.has("inputs") || !store.has("datasets")) return [];
  const rows = store.all(
    `SELECT inputs.input_uuid, datasets.* FROM inputs JOIN datasets ON datasets.dataset_uuid = inputs.source_id
      WHERE inputs.source_type = 'DATASET' AND inputs.destination_type = 'RUN' AND inputs.destination_id = ?`,
    runId,
  );
  return rows.map((row) => ({
    name: text(row["name"]),
    digest: text(row["digest"]),
    sourceType: text(row["dataset_source_type"]),
    source: text(row["dataset_source"]),
    ...optional("schema", row["dataset_schema"]),
    ...optional("profile", row["dataset_profile"]),
    tags: Object.fromEntries(
      store
        .all("SELECT name, value FROM input_tags WHERE input_uuid = ?", text(row["input_uuid"]))
        .map((tag) => [text(tag["name"]), text(tag["value"])]),
    ),
  }));
}

function readLinks(store: SqlStore, runId: string): TrackedModelLink[] {
  if (!store.has("logged_models") || !store.has("inputs", "step")) return [];
  const made = store.all(
    "SELECT destination_id, step FROM inputs WHERE source_type = 'RUN_OUTPUT' AND destination_type = 'MODEL_OUTPUT' AND source_id = ?",
    runId,
  );
  const read = store.all(
    "SELECT destination_id FROM inputs WHERE source_type = 'RUN_INPUT' AND destination_type = 'MODEL_INPUT' AND source_id = ?",
    runId,
  );
  return [
    ...read.map((row) => ({ modelId: text(row["destination_id"]), direction: "input" as const, step: 0 })),
    ...made.map((row) => ({
      modelId: text(row["destination_id"]),
      direction: "output" as const,
      step: whole(row["step"]),
    })),
  ];
}

function readModel(store: SqlStore, experimentId: string, row: SqlRow): SourceModel {
  const id = text(row["model_id"]);
  const pairs = (table: string, prefix: string): TrackedTags =>
    Object.fromEntries(
      store
        .all(`SELECT ${prefix}_key AS key, ${prefix}_value AS value FROM ${table} WHERE model_id = ?`, id)
        .map((one) => [text(one["key"]), text(one["value"])]),
    );
  const metrics = store.all(
    `SELECT metric_name AS key, metric_value AS value, CAST(metric_step AS TEXT) AS step, 0 AS is_nan,
      CAST(metric_timestamp_ms AS TEXT) AS timestamp, run_id, dataset_name, dataset_digest
      FROM logged_model_metrics WHERE model_id = ?`,
    id,
  );
  return {
    model: {
      id,
      experimentId,
      name: text(row["name"]),
      ...optional("runId", row["source_run_id"]),
      status: loggedModelStatus(text(row["status"])),
      ...optional("statusMessage", row["status_message"]),
      ...optional("type", row["model_type"]),
      params: pairs("logged_model_params", "param"),
      tags: pairs("logged_model_tags", "tag"),
      metrics: metrics.map((one) => ({
        ...pointOf(one),
        runId: text(one["run_id"]),
        ...optional("datasetName", one["dataset_name"]),
        ...optional("datasetDigest", one["dataset_digest"]),
      })),
      createdAt: Number(row["creation_timestamp_ms"] ?? 0),
      updatedAt: Number(row["last_updated_timestamp_ms"] ?? 0),
    },
    artifactUri: text(row["artifact_location"]),
  };
}
