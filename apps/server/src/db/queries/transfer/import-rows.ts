import { createHash } from "node:crypto";
import {
  EspalierError,
  type SourceRun,
  type TrackedExperiment,
  type TrackedInput,
  type TrackedModel,
  type TrackedPoint,
} from "@espalier/core";
import { sql } from "kysely";
import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import { noteTracking } from "../../mirror-changes.ts";
import { ensureExperiment } from "../experiments.ts";
import { logMetrics } from "../metrics.ts";

/** Rows that an import writes, by sets. Everything may be written again: it is then as it was. */
export interface ImportRows {
  /** An experiment of this name, and whether there are runs in it. */
  experimentNamed(name: string): Promise<{ id: string; hasRuns: boolean } | undefined>;
  /** Made, or brought to what the source says. Its id here. */
  putExperiment(experiment: TrackedExperiment): Promise<string>;
  /** The run keeps its id. CONFLICT: the id is that of another run, in another experiment. */
  putRun(run: SourceRun, root: string): Promise<void>;
  putPoints(runId: string, points: readonly TrackedPoint[]): Promise<void>;
  putFiles(files: readonly ImportedFile[]): Promise<void>;
  /** The logged model keeps its id. */
  putModel(model: TrackedModel, root: string): Promise<void>;
}

export interface ImportedFile {
  path: string;
  digest: string;
  size: number;
  createdBy: string;
}

const rowsAStatement = 500;
const artifactScheme = "mlflow-artifacts:/";

export function createImportRows(database: RecordDatabase): ImportRows {
  const { kysely, projectId, now } = database;

  return {
    experimentNamed: async (name) => {
      const found = await kysely
        .selectFrom("experiments")
        .select("experiment_id")
        .where("project_id", "=", projectId)
        .where("name", "=", name)
        .executeTakeFirst();
      if (found === undefined) return undefined;
      const run = await kysely
        .selectFrom("runs")
        .select("run_id")
        .where("project_id", "=", projectId)
        .where("experiment_id", "=", found.experiment_id)
        .limit(1)
        .executeTakeFirst();
      return { id: found.experiment_id, hasRuns: run !== undefined };
    },
    putExperiment: (experiment) =>
      database.transaction(async (transaction) => {
        const id = await ensureExperiment(database, transaction, experiment.name);
        await transaction
          .updateTable("experiments")
          .set({
            lifecycle_stage: experiment.lifecycle,
            ...(experiment.createdAt === undefined ? {} : { creation_time: experiment.createdAt }),
            ...(experiment.updatedAt === undefined ? {} : { last_update_time: experiment.updatedAt }),
          })
          .where("project_id", "=", projectId)
          .where("experiment_id", "=", id)
          .execute();
        await insertAll(Object.entries(experiment.tags), async (some) => {
          await transaction
            .insertInto("experiment_tags")
            .values(some.map(([key, value]) => ({ project_id: projectId, experiment_id: id, key, value })))
            .onConflict((conflict) =>
              conflict
                .columns(["project_id", "experiment_id", "key"])
                .doUpdateSet((columns) => ({ value: columns.ref("excluded.value") })),
            )
            .execute();
        });
        await noteTracking(database, transaction, { kind: "experiment", subject: id });
        return id;
      }),
    putRun: (run, root) => database.transaction((transaction) => putRun(database, transaction, run, root)),
    putPoints: (runId, points) =>
      database.transaction(async (transaction) => {
        await logMetrics(database, transaction, runId, points);
        await noteTracking(database, transaction, { kind: "metrics", subject: runId, points });
      }),
    putFiles: (files) =>
      database.transaction(async (transaction) => {
        await insertAll(files, async (some) => {
          await transaction
            .insertInto("tracked_files")
            .values(
              some.map(({ path, digest, size, createdBy }) => ({
                project_id: projectId,
                path,
                digest,
                size,
                created_by: createdBy,
                created_at: now,
              })),
            )
            .onConflict((conflict) =>
              conflict.columns(["project_id", "path"]).doUpdateSet((columns) => ({
                digest: columns.ref("excluded.digest"),
                size: columns.ref("excluded.size"),
              })),
            )
            .execute();
        });
      }),
    putModel: (model, root) => database.transaction((transaction) => putModel(database, transaction, model, root)),
  };
}

async function putRun(
  database: RecordDatabase,
  transaction: RecordTransaction,
  { run, params, tags, inputs, models }: SourceRun,
  root: string,
): Promise<void> {
  const project = { project_id: database.projectId };
  const known = await transaction
    .selectFrom("runs")
    .select(["experiment_id", "kind"])
    .where("project_id", "=", database.projectId)
    .where("run_id", "=", run.id)
    .executeTakeFirst();
  if (known !== undefined && (known.experiment_id !== run.experimentId || known.kind !== "external")) {
    throw new EspalierError("CONFLICT", `A run ${run.id} is on record already, in experiment ${known.experiment_id}`, {
      hint: "It was imported under another experiment's name, or it is a run of this project's own.",
    });
  }
  const values = {
    experiment_id: run.experimentId,
    parent_run_id: run.parentRunId ?? null,
    run_name: run.name,
    user_id: run.user,
    status: run.status,
    lifecycle_stage: run.lifecycle,
    start_time: run.startTime,
    end_time: run.endTime ?? null,
    deleted_time: run.lifecycle === "deleted" ? (run.endTime ?? run.startTime) : null,
    artifact_uri: artifactScheme + root,
  };
  await transaction
    .insertInto("runs")
    .values({ ...project, run_id: run.id, kind: "external", ...values })
    .onConflict((conflict) => conflict.columns(["project_id", "run_id"]).doUpdateSet(values))
    .execute();
  await insertAll(Object.entries(params), async (some) => {
    await transaction
      .insertInto("params")
      .values(some.map(([key, value]) => ({ ...project, run_id: run.id, key, value })))
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  });
  await transaction
    .deleteFrom("tags")
    .where("project_id", "=", database.projectId)
    .where("run_id", "=", run.id)
    .execute();
  await insertAll(Object.entries(tags), async (some) => {
    await transaction
      .insertInto("tags")
      .values(some.map(([key, value]) => ({ ...project, run_id: run.id, key, value })))
      .execute();
  });
  for (const input of inputs) await putInput(database, transaction, run.id, run.experimentId, input);
  await insertAll(models, async (some) => {
    await transaction
      .insertInto("run_models")
      .values(
        some.map(({ modelId, direction, step }) => ({
          ...project,
          run_id: run.id,
          model_id: modelId,
          direction,
          step,
        })),
      )
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  });
  await noteTracking(database, transaction, { kind: "run", subject: run.id });
  await noteTracking(database, transaction, { kind: "params", subject: run.id, params });
  await noteTracking(database, transaction, { kind: "tags", subject: run.id, tags });
  if (inputs.length + models.length > 0) await noteTracking(database, transaction, { kind: "inputs", subject: run.id });
}

async function putInput(
  database: RecordDatabase,
  transaction: RecordTransaction,
  runId: string,
  experimentId: string,
  input: TrackedInput,
): Promise<void> {
  const project = { project_id: database.projectId };
  const found = await transaction
    .selectFrom("input_datasets")
    .select("dataset_id")
    .where("project_id", "=", database.projectId)
    .where("experiment_id", "=", experimentId)
    .where("name", "=", input.name)
    .where("digest", "=", input.digest)
    .executeTakeFirst();
  const datasetId =
    found?.dataset_id ??
    createHash("sha256")
      .update(JSON.stringify([experimentId, input.name, input.digest]))
      .digest("hex")
      .slice(0, 32);
  if (found === undefined) {
    await transaction
      .insertInto("input_datasets")
      .values({
        ...project,
        dataset_id: datasetId,
        experiment_id: experimentId,
        name: input.name,
        digest: input.digest,
        source_type: input.sourceType,
        source: input.source,
        schema_json: input.schema ?? null,
        profile_json: input.profile ?? null,
      })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
  await transaction
    .insertInto("inputs")
    .values({ ...project, run_id: runId, dataset_id: datasetId })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  await insertAll(Object.entries(input.tags), async (some) => {
    await transaction
      .insertInto("input_tags")
      .values(some.map(([key, value]) => ({ ...project, run_id: runId, dataset_id: datasetId, key, value })))
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  });
}

async function putModel(
  database: RecordDatabase,
  transaction: RecordTransaction,
  model: TrackedModel,
  root: string,
): Promise<void> {
  const project = { project_id: database.projectId, model_id: model.id };
  const values = {
    experiment_id: model.experimentId,
    name: model.name,
    artifact_location: artifactScheme + root,
    source_run_id: model.runId ?? null,
    status: model.status,
    status_message: model.statusMessage ?? null,
    model_type: model.type ?? null,
    lifecycle_stage: "active",
    creation_time: model.createdAt,
    last_updated_time: model.updatedAt,
  };
  await transaction
    .insertInto("logged_models")
    .values({ ...project, ...values })
    .onConflict((conflict) => conflict.columns(["project_id", "model_id"]).doUpdateSet(values))
    .execute();
  for (const [table, pairs] of [
    ["logged_model_params", model.params],
    ["logged_model_tags", model.tags],
  ] as const) {
    await insertAll(Object.entries(pairs), async (some) => {
      await transaction
        .insertInto(table)
        .values(some.map(([key, value]) => ({ ...project, key, value })))
        .onConflict((conflict) =>
          conflict.columns(["project_id", "model_id", "key"]).doUpdateSet({ value: sql<string>`excluded.value` }),
        )
        .execute();
    });
  }
  await insertAll(model.metrics, async (some) => {
    await transaction
      .insertInto("logged_model_metrics")
      .values(
        some.map((metric) => ({
          ...project,
          key: metric.key,
          timestamp: metric.timestamp,
          step: metric.step,
          run_id: metric.runId,
          value: Number.isNaN(metric.value) ? 0 : metric.value,
          is_nan: Number.isNaN(metric.value) ? 1 : 0,
          dataset_name: metric.datasetName ?? "",
          dataset_digest: metric.datasetDigest ?? "",
        })),
      )
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  });
}

export async function insertAll<Item>(
  items: readonly Item[],
  insert: (some: readonly Item[]) => Promise<void>,
): Promise<void> {
  for (let start = 0; start < items.length; start += rowsAStatement) {
    await insert(items.slice(start, start + rowsAStatement));
  }
}
