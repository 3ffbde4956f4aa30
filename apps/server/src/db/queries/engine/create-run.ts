import { canonicalJson, EspalierError, type NewRun, type RunRow } from "@espalier/core";
import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import { noteTracking } from "../../mirror-changes.ts";
import { experimentOfPipeline } from "../experiments.ts";
import { toRunRow } from "./rows.ts";
import { insertEvents } from "./run-events.ts";

const rowsAStatement = 500;

export async function readRun(
  database: RecordDatabase,
  transaction: Pick<RecordTransaction, "selectFrom">,
  runId: string,
): Promise<RunRow | undefined> {
  const row = await transaction
    .selectFrom("pipeline_runs")
    .innerJoin("pipeline_versions", (join) =>
      join
        .onRef("pipeline_versions.project_id", "=", "pipeline_runs.project_id")
        .onRef("pipeline_versions.digest", "=", "pipeline_runs.pipeline_digest"),
    )
    .selectAll("pipeline_runs")
    .select("pipeline_versions.ir")
    .where("pipeline_runs.project_id", "=", database.projectId)
    .where("pipeline_runs.run_id", "=", runId)
    .executeTakeFirst();
  return row === undefined ? undefined : toRunRow(row);
}

/** Idempotent on the id: a second create with the same id answers with the run that is there; with another pipeline it is CONFLICT. */
export async function createRun(database: RecordDatabase, run: NewRun): Promise<RunRow> {
  return database.transaction(async (transaction) => {
    const project = { project_id: database.projectId };
    const experimentId = await experimentOfPipeline(database, transaction, run.pipeline.name);
    await transaction
      .insertInto("pipeline_versions")
      .values({
        ...project,
        digest: run.pipelineDigest,
        name: run.pipeline.name,
        ir: JSON.stringify(run.pipeline),
        created_at: database.now,
      })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    const inserted = await transaction
      .insertInto("pipeline_runs")
      .values({
        ...project,
        run_id: run.id,
        pipeline: run.pipeline.name,
        pipeline_digest: run.pipelineDigest,
        params: JSON.stringify(run.params),
        stack: run.stack,
        trigger_json: JSON.stringify(run.trigger),
        trigger_kind: run.trigger.kind,
        logical_date: run.logicalDate ?? null,
        options: JSON.stringify(run.options),
        resolved: JSON.stringify(run.resolved),
        snapshots: JSON.stringify(run.snapshots),
        state: "queued",
        lease_epoch: 0,
        cancel_requested: 0,
        last_event: 1,
        created_at: database.now,
      })
      .onConflict((conflict) => conflict.doNothing())
      .returning("run_id")
      .executeTakeFirst();
    if (inserted !== undefined) await createParts(database, transaction, run, experimentId);
    const row = await readRun(database, transaction, run.id);
    if (row === undefined) throw new EspalierError("INTERNAL", `Run ${run.id} is not there after its creation`);
    if (row.pipelineDigest !== run.pipelineDigest || canonicalJson(row.params) !== canonicalJson(run.params)) {
      throw new EspalierError("CONFLICT", `Run ${run.id} exists already, with another pipeline or other parameters`, {
        hint: "Mint a new id.",
      });
    }
    return row;
  });
}

async function createParts(
  database: RecordDatabase,
  transaction: RecordTransaction,
  run: NewRun,
  experimentId: string,
): Promise<void> {
  const project = { project_id: database.projectId };
  const name = `${run.pipeline.name}-${run.id.slice(-6).toLowerCase()}`;
  await transaction
    .insertInto("runs")
    .values({
      ...project,
      run_id: run.id,
      experiment_id: experimentId,
      kind: "pipeline",
      run_name: name,
      user_id: run.trigger.by,
      status: "SCHEDULED",
      lifecycle_stage: "active",
      start_time: database.now,
    })
    .execute();
  // Engine parameters are tags: MLflow's parameters can not change, and a script may log one of the same name.
  const tags = {
    "mlflow.runName": name,
    "mlflow.user": run.trigger.by,
    "espalier.pipeline": run.pipelineDigest,
    "espalier.stack": run.stack,
    ...Object.fromEntries(Object.entries(run.params).map(([key, value]) => [`espalier.param.${key}`, String(value)])),
  };
  await transaction
    .insertInto("tags")
    .values(Object.entries(tags).map(([key, value]) => ({ ...project, run_id: run.id, key, value })))
    .execute();
  await noteTracking(database, transaction, { kind: "run", subject: run.id });
  const steps = Object.keys(run.pipeline.steps);
  for (let start = 0; start < steps.length; start += rowsAStatement) {
    await transaction
      .insertInto("steps")
      .values(
        steps.slice(start, start + rowsAStatement).map((step, index) => ({
          ...project,
          run_id: run.id,
          step,
          branch: -1,
          position: start + index,
          state: "pending",
        })),
      )
      .execute();
  }
  const payload = { pipeline: run.pipeline.name, stack: run.stack, trigger: run.trigger, logicalDate: run.logicalDate };
  await insertEvents(database, transaction, run.id, 1, [{ type: "run.created", payload }]);
}
