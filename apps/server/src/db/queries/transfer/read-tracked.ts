import type {
  ArtifactRef,
  SourceModel,
  SourceRun,
  TrackedExperiment,
  TrackedModel,
  TrackedPoint,
  TrackedRegisteredModel,
  TrackedTags,
  TrackedVersion,
} from "@espalier/core";
import { type Kysely, type Selectable, sql } from "kysely";
import type { RecordDatabase } from "../../database.ts";
import { fromJson, present } from "../../json.ts";
import type { LoggedModelsTable } from "../../schema/logged-models.ts";
import type { RecordSchema } from "../../schema/record-schema.ts";
import type { ModelVersionsTable } from "../../schema/registry.ts";
import type { ExperimentsTable, RunsTable } from "../../schema/tracking.ts";
import { aliveRow, deletedStage } from "../registry/registry-rows.ts";

/** A version with where its content is: in an artifact of ours, at a path of the proxy, or nowhere that we know. */
export interface HeldVersion extends TrackedVersion {
  artifact?: ArtifactRef;
  location?: string;
  verdictId?: string;
}

/** What is on record, whole things at a time and lists in pages: what mirrors and exports tell. */
export interface TrackedReads {
  experiment(id: string): Promise<TrackedExperiment | undefined>;
  /** In order of id, as a text. */
  experiments(afterId: string, limit: number): Promise<TrackedExperiment[]>;
  run(id: string): Promise<SourceRun | undefined>;
  /** Ids in order. */
  runIds(experimentId: string, afterId: string, limit: number): Promise<string[]>;
  /** Batches of 5,000, key by key. */
  points(runId: string): AsyncGenerator<TrackedPoint[]>;
  loggedModel(id: string): Promise<SourceModel | undefined>;
  loggedModelIds(experimentId: string, afterId: string, limit: number): Promise<string[]>;
  registeredModel(name: string): Promise<TrackedRegisteredModel | undefined>;
  registeredNames(afterName: string, limit: number): Promise<string[]>;
  version(name: string, version: number): Promise<HeldVersion | undefined>;
  versionNumbers(name: string, after: number, limit: number): Promise<number[]>;
}

const pointsABatch = 5000;

export function createTrackedReads(database: RecordDatabase): TrackedReads {
  const { reader, projectId } = database;

  const pairs = async (
    table:
      | "params"
      | "tags"
      | "experiment_tags"
      | "logged_model_params"
      | "logged_model_tags"
      | "registered_model_tags",
    column: string,
    id: string,
  ): Promise<TrackedTags> => {
    const { rows } = await sql<{ key: string; value: string }>`SELECT key, value FROM ${sql.table(table)}
      WHERE project_id = ${projectId} AND ${sql.ref(column)} = ${id} ORDER BY key`.execute(reader);
    return Object.fromEntries(rows.map(({ key, value }) => [key, value]));
  };
  const toExperiment = async (row: Selectable<ExperimentsTable>): Promise<TrackedExperiment> => ({
    id: row.experiment_id,
    name: row.name,
    lifecycle: row.lifecycle_stage === "deleted" ? "deleted" : "active",
    tags: await pairs("experiment_tags", "experiment_id", row.experiment_id),
    createdAt: row.creation_time,
    updatedAt: row.last_update_time,
  });
  const toRun = async (row: Selectable<RunsTable>): Promise<SourceRun> => ({
    run: {
      id: row.run_id,
      experimentId: row.experiment_id,
      name: row.run_name,
      user: row.user_id,
      status: row.status,
      lifecycle: row.lifecycle_stage === "deleted" ? "deleted" : "active",
      startTime: row.start_time,
      ...present("endTime", row.end_time),
      ...present("parentRunId", row.parent_run_id),
    },
    params: await pairs("params", "run_id", row.run_id),
    tags: await pairs("tags", "run_id", row.run_id),
    metricKeys: await metricKeys(reader, projectId, row.run_id),
    inputs: await inputsOf(reader, projectId, row.run_id),
    models: await linksOf(reader, projectId, row.run_id),
    artifactUri: row.artifact_uri ?? `mlflow-artifacts:/${row.experiment_id}/${row.run_id}/artifacts`,
  });

  return {
    experiment: async (id) => {
      const row = await reader
        .selectFrom("experiments")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("experiment_id", "=", id)
        .executeTakeFirst();
      return row === undefined ? undefined : toExperiment(row);
    },
    experiments: async (after, limit) => {
      const rows = await reader
        .selectFrom("experiments")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("experiment_id", ">", after)
        .orderBy("experiment_id")
        .limit(limit)
        .execute();
      return Promise.all(rows.map(toExperiment));
    },
    run: async (id) => {
      const row = await reader
        .selectFrom("runs")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("run_id", "=", id)
        .executeTakeFirst();
      return row === undefined ? undefined : toRun(row);
    },
    runIds: async (experimentId, after, limit) =>
      (
        await reader
          .selectFrom("runs")
          .select("run_id")
          .where("project_id", "=", projectId)
          .where("experiment_id", "=", experimentId)
          .where("run_id", ">", after)
          .orderBy("run_id")
          .limit(limit)
          .execute()
      ).map((row) => row.run_id),
    points: (runId) => points(reader, projectId, runId),
    loggedModel: async (id) => {
      const row = await reader
        .selectFrom("logged_models")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("model_id", "=", id)
        .where("lifecycle_stage", "<>", "deleted")
        .executeTakeFirst();
      if (row === undefined) return undefined;
      const params = await pairs("logged_model_params", "model_id", id);
      const tags = await pairs("logged_model_tags", "model_id", id);
      return {
        model: { ...toModel(row), params, tags, metrics: await metricsOf(reader, projectId, id) },
        artifactUri: row.artifact_location,
      };
    },
    loggedModelIds: async (experimentId, after, limit) =>
      (
        await reader
          .selectFrom("logged_models")
          .select("model_id")
          .where("project_id", "=", projectId)
          .where("experiment_id", "=", experimentId)
          .where("lifecycle_stage", "<>", "deleted")
          .where("model_id", ">", after)
          .orderBy("model_id")
          .limit(limit)
          .execute()
      ).map((row) => row.model_id),
    registeredModel: async (name) => {
      const row = await reader
        .selectFrom("registered_models")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("name", "=", name)
        .executeTakeFirst();
      if (row === undefined) return undefined;
      const aliases = await reader
        .selectFrom("aliases")
        .select(["alias", "version"])
        .where("project_id", "=", projectId)
        .where("name", "=", name)
        .orderBy("alias")
        .execute();
      return {
        name,
        ...present("description", row.description),
        tags: await pairs("registered_model_tags", "name", name),
        aliases: Object.fromEntries(aliases.map(({ alias, version }) => [alias, version])),
        createdAt: row.creation_time,
        updatedAt: row.last_updated_time,
      };
    },
    registeredNames: async (after, limit) =>
      (
        await reader
          .selectFrom("registered_models")
          .select("name")
          .where("project_id", "=", projectId)
          .where("name", ">", after)
          .orderBy("name")
          .limit(limit)
          .execute()
      ).map((row) => row.name),
    version: async (name, version) => {
      const row = await aliveRow(database, reader, name, version);
      if (row === undefined) return undefined;
      const tags = await reader
        .selectFrom("model_version_tags")
        .select(["key", "value"])
        .where("project_id", "=", projectId)
        .where("name", "=", name)
        .where("version", "=", version)
        .orderBy("key")
        .execute();
      return toVersion(row, Object.fromEntries(tags.map(({ key, value }) => [key, value])));
    },
    versionNumbers: async (name, after, limit) =>
      (
        await reader
          .selectFrom("model_versions")
          .select("version")
          .where("project_id", "=", projectId)
          .where("name", "=", name)
          .where("stage", "<>", deletedStage)
          .where("version", ">", after)
          .orderBy("version")
          .limit(limit)
          .execute()
      ).map((row) => row.version),
  };
}

type Reader = Kysely<RecordSchema>;

async function metricKeys(reader: Reader, projectId: string, runId: string): Promise<string[]> {
  const rows = await reader
    .selectFrom("latest_metrics")
    .select("key")
    .where("project_id", "=", projectId)
    .where("run_id", "=", runId)
    .orderBy("key")
    .execute();
  return rows.map((row) => row.key);
}

async function* points(reader: Reader, projectId: string, runId: string): AsyncGenerator<TrackedPoint[]> {
  const series = await reader
    .selectFrom("latest_metrics")
    .select(["key", "series_id"])
    .where("project_id", "=", projectId)
    .where("run_id", "=", runId)
    .orderBy("key")
    .execute();
  for (const { key, series_id: id } of series) {
    let after = sql<boolean>`1 = 1`;
    for (;;) {
      const rows = await reader
        .selectFrom("metrics")
        .selectAll()
        .where("series_id", "=", id)
        .where(after)
        .orderBy("timestamp")
        .orderBy("step")
        .orderBy("value")
        .orderBy("is_nan")
        .limit(pointsABatch)
        .execute();
      const batch = rows.map((row): TrackedPoint => {
        return { key, value: row.is_nan === 1 ? Number.NaN : row.value, step: row.step, timestamp: row.timestamp };
      });
      if (batch.length > 0) yield batch;
      const last = rows.at(-1);
      if (last === undefined || rows.length < pointsABatch) break;
      after = sql<boolean>`(timestamp, step, value, is_nan) > (${last.timestamp}, ${last.step}, ${last.value}, ${last.is_nan})`;
    }
  }
}

async function inputsOf(reader: Reader, projectId: string, runId: string): Promise<SourceRun["inputs"]> {
  const rows = await reader
    .selectFrom("inputs")
    .innerJoin("input_datasets", (join) =>
      join
        .onRef("input_datasets.project_id", "=", "inputs.project_id")
        .onRef("input_datasets.dataset_id", "=", "inputs.dataset_id"),
    )
    .selectAll("input_datasets")
    .where("inputs.project_id", "=", projectId)
    .where("inputs.run_id", "=", runId)
    .orderBy("input_datasets.dataset_id")
    .execute();
  const tags = await reader
    .selectFrom("input_tags")
    .select(["dataset_id", "key", "value"])
    .where("project_id", "=", projectId)
    .where("run_id", "=", runId)
    .execute();
  return rows.map((row) => ({
    name: row.name,
    digest: row.digest,
    sourceType: row.source_type,
    source: row.source,
    ...present("schema", row.schema_json),
    ...present("profile", row.profile_json),
    tags: Object.fromEntries(
      tags.filter((one) => one.dataset_id === row.dataset_id).map((one) => [one.key, one.value]),
    ),
  }));
}

async function linksOf(reader: Reader, projectId: string, runId: string): Promise<SourceRun["models"]> {
  const rows = await reader
    .selectFrom("run_models")
    .select(["model_id", "direction", "step"])
    .where("project_id", "=", projectId)
    .where("run_id", "=", runId)
    .orderBy("model_id")
    .execute();
  return rows.map((row) => ({
    modelId: row.model_id,
    direction: row.direction === "input" ? "input" : "output",
    step: row.step,
  }));
}

async function metricsOf(reader: Reader, projectId: string, modelId: string): Promise<TrackedModel["metrics"]> {
  const rows = await reader
    .selectFrom("logged_model_metrics")
    .selectAll()
    .where("project_id", "=", projectId)
    .where("model_id", "=", modelId)
    .orderBy("key")
    .orderBy("timestamp")
    .orderBy("step")
    // A model with more is logged to by a loop; what runs hold of it is whole.
    .limit(10_000)
    .execute();
  return rows.map((row) => ({
    key: row.key,
    value: row.is_nan === 1 ? Number.NaN : row.value,
    step: row.step,
    timestamp: row.timestamp,
    runId: row.run_id,
    ...present("datasetName", row.dataset_name === "" ? null : row.dataset_name),
    ...present("datasetDigest", row.dataset_digest === "" ? null : row.dataset_digest),
  }));
}

function toModel(row: Selectable<LoggedModelsTable>): Omit<TrackedModel, "params" | "tags" | "metrics"> {
  return {
    id: row.model_id,
    experimentId: row.experiment_id,
    name: row.name,
    ...present("runId", row.source_run_id),
    status: row.status.replace(/^LOGGED_MODEL_(UPLOAD_)?/, ""),
    ...present("statusMessage", row.status_message),
    ...present("type", row.model_type),
    createdAt: row.creation_time,
    updatedAt: row.last_updated_time,
  };
}

function toVersion(row: Selectable<ModelVersionsTable>, tags: TrackedTags): HeldVersion {
  return {
    name: row.name,
    version: row.version,
    source: row.source,
    ...present("runId", row.attempt_id ?? row.run_id),
    ...present("modelId", row.model_id),
    ...present("runLink", row.run_link),
    stage: row.stage,
    status: row.status,
    ...present("statusMessage", row.status_message),
    ...present("description", row.description),
    user: row.user_id,
    tags,
    createdAt: row.creation_time,
    updatedAt: row.last_updated_time,
    ...(row.artifact === null ? {} : { artifact: fromJson<ArtifactRef>(row.artifact) }),
    ...present("location", row.location),
    ...present("verdictId", row.verdict_id === "" ? null : row.verdict_id),
  };
}
