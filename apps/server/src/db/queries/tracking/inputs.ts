import { randomUUID } from "node:crypto";
import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import { noteTracking } from "../../mirror-changes.ts";
import type { RunDataset } from "./run-data.ts";
import { changeRun, type TrackedRunChange } from "./runs.ts";

export interface InputQueries {
  /** What a run read. Of a data set that is logged again, or one model, nothing changes. */
  logInputs(runId: string, datasets: readonly RunDataset[], modelIds: readonly string[]): Promise<TrackedRunChange>;
  /** Models that a run made; one that is logged again takes the new step. */
  logOutputs(runId: string, models: readonly { modelId: string; step: number | bigint }[]): Promise<TrackedRunChange>;
}

export function createInputQueries(database: RecordDatabase): InputQueries {
  const project = { project_id: database.projectId };
  return {
    logInputs: (runId, datasets, modelIds) =>
      changeRun<never>(database, runId, "active", async (transaction, run) => {
        for (const dataset of datasets) await logDataset(database, transaction, runId, run.experiment_id, dataset);
        for (const model_id of new Set(modelIds)) {
          await transaction
            .insertInto("run_models")
            .values({ ...project, run_id: runId, model_id, direction: "input", step: 0 })
            .onConflict((conflict) => conflict.doNothing())
            .execute();
        }
        await noteTracking(database, transaction, { kind: "inputs", subject: runId });
        return undefined;
      }),
    logOutputs: (runId, models) =>
      changeRun<never>(database, runId, "active", async (transaction) => {
        for (const { modelId, step } of models) {
          await transaction
            .insertInto("run_models")
            .values({ ...project, run_id: runId, model_id: modelId, direction: "output", step })
            .onConflict((conflict) =>
              conflict.columns(["project_id", "run_id", "direction", "model_id"]).doUpdateSet({ step }),
            )
            .execute();
        }
        return undefined;
      }),
  };
}

async function logDataset(
  database: RecordDatabase,
  transaction: RecordTransaction,
  runId: string,
  experimentId: string,
  dataset: RunDataset,
): Promise<void> {
  const project = { project_id: database.projectId };
  await transaction
    .insertInto("input_datasets")
    .values({
      ...project,
      dataset_id: randomUUID().replaceAll("-", ""),
      experiment_id: experimentId,
      name: dataset.name,
      digest: dataset.digest,
      source_type: dataset.sourceType,
      source: dataset.source,
      schema_json: dataset.schema ?? null,
      profile_json: dataset.profile ?? null,
    })
    .onConflict((conflict) => conflict.columns(["project_id", "experiment_id", "name", "digest"]).doNothing())
    .execute();
  const { dataset_id } = await transaction
    .selectFrom("input_datasets")
    .select("dataset_id")
    .where("project_id", "=", database.projectId)
    .where("experiment_id", "=", experimentId)
    .where("name", "=", dataset.name)
    .where("digest", "=", dataset.digest)
    .executeTakeFirstOrThrow();
  const made = await transaction
    .insertInto("inputs")
    .values({ ...project, run_id: runId, dataset_id })
    .onConflict((conflict) => conflict.doNothing())
    .returning("dataset_id")
    .executeTakeFirst();
  const tags = new Map(dataset.tags.map(({ key, value }) => [key, value]));
  if (made === undefined || tags.size === 0) return;
  await transaction
    .insertInto("input_tags")
    .values([...tags].map(([key, value]) => ({ ...project, run_id: runId, dataset_id, key, value })))
    .execute();
}
