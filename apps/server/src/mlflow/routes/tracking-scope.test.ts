import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { startPostgres } from "../../../../../scripts/servers/postgres.ts";
import type { ProjectRecord } from "../../db/record.ts";
import { describeOnBoth } from "../../db/testing/databases.ts";
import { newRun, runAttempt } from "../../db/testing/runs.ts";
import type { ExperimentScope } from "../scope.ts";
import { directFace } from "../testing/direct-face.ts";
import { experimentsRoutes } from "./experiments.ts";
import { loggingRoutes } from "./logging.ts";
import { metricHistoryRoutes } from "./metric-history.ts";
import { runInputsRoutes } from "./run-inputs.ts";
import { runsRoutes } from "./runs.ts";

/** A run of the pipeline `flights` with one attempt that has ended, and the scope of that attempt's token. */
async function prepare(record: ProjectRecord) {
  const face = directFace(record, (plane) => [
    ...experimentsRoutes(plane),
    ...runsRoutes(plane),
    ...loggingRoutes(plane),
    ...runInputsRoutes(plane),
    ...metricHistoryRoutes(plane),
  ]);
  const { id: runId } = await record.engine.createRun(newRun());
  const attemptId = await runAttempt(record, runId, []);
  const experimentId = (await record.tracking.experimentOfRun(attemptId)) ?? "";
  const scope: ExperimentScope = { kind: "experiment", experimentId, runId, attemptId };
  const other = (await face("experiments/create", { name: "other" })).body.experiment_id;
  const otherRun = (await face("runs/create", { experiment_id: other })).body.run.info.run_id;
  const step = (path: string, fields: object) => face(path, fields as never, scope);
  return { face, step, runId, attemptId, experimentId, other, otherRun };
}

describeOnBoth("a step's token on the tracking routes", await startPostgres(), (database) => {
  test("set_experiment is answered with the pipeline's experiment, and the name is kept as a tag of the attempt", async () => {
    const record = await database.open();
    const { face, step, attemptId, experimentId } = await prepare(record);
    const found = await step("experiments/get-by-name", { experiment_name: "my own" });
    expect(found.body.experiment).toMatchObject({ experiment_id: experimentId, name: "flights" });
    expect((await face("runs/get", { run_id: attemptId })).body.run.data.tags).toContainEqual({
      key: "espalier.mlflow_experiment",
      value: "my own",
    });
    expect((await step("experiments/create", { name: "another" })).body).toEqual({ experiment_id: experimentId });
    expect((await face("experiments/get-by-name", { experiment_name: "another" })).status).toBe(404);
  });

  test("runs it makes are children of the attempt in the pipeline's experiment, whatever experiment it meant", async () => {
    const record = await database.open();
    const { step, attemptId, experimentId } = await prepare(record);
    for (const fields of [{}, { experiment_id: "0" }, { experiment_id: experimentId }]) {
      const { info, data } = (await step("runs/create", fields)).body.run;
      expect(info.experiment_id).toBe(experimentId);
      expect(data.tags).toContainEqual({ key: "mlflow.parentRunId", value: attemptId });
      expect(await record.tracking.runs.info(info.run_id)).toMatchObject({ parentRunId: attemptId, kind: "external" });
    }
    const parent = (await step("runs/create", {})).body.run.info.run_id;
    const nested = (await step("runs/create", { tags: [{ key: "mlflow.parentRunId", value: parent }] })).body.run;
    expect(await record.tracking.runs.info(nested.info.run_id)).toMatchObject({ parentRunId: parent });
  });

  test("what belongs to another experiment is out of reach", async () => {
    const record = await database.open();
    const { face, step, other, otherRun } = await prepare(record);
    const metric = { key: "m", value: 1, timestamp: 1 };
    const attempts: [string, object][] = [
      ["experiments/get", { experiment_id: other }],
      ["experiments/set-experiment-tag", { experiment_id: other, key: "k", value: "v" }],
      ["experiments/delete-experiment-tag", { experiment_id: other, key: "k" }],
      ["experiments/delete", { experiment_id: other }],
      ["experiments/restore", { experiment_id: other }],
      ["experiments/update", { experiment_id: other, new_name: "n" }],
      ["runs/create", { experiment_id: other }],
      ["runs/get", { run_id: otherRun }],
      ["runs/update", { run_id: otherRun, status: "FAILED" }],
      ["runs/delete", { run_id: otherRun }],
      ["runs/restore", { run_id: otherRun }],
      ["runs/delete-tag", { run_id: otherRun, key: "mlflow.runName" }],
      ["runs/set-tag", { run_id: otherRun, key: "k", value: "v" }],
      ["runs/log-metric", { run_id: otherRun, ...metric }],
      ["runs/log-parameter", { run_id: otherRun, key: "k", value: "v" }],
      ["runs/log-batch", { run_id: otherRun, metrics: [metric] }],
      ["runs/log-inputs", { run_id: otherRun, models: [{ model_id: "m" }] }],
      ["runs/outputs", { run_id: otherRun, models: [{ model_id: "m" }] }],
      ["runs/log-model", { run_id: otherRun, model_json: "{}" }],
      ["metrics/get-history", { run_id: otherRun, metric_key: "m" }],
      ["metrics/get-history-bulk", { run_id: [otherRun], metric_key: "m" }],
      ["metrics/get-history-bulk-interval", { run_ids: [otherRun], metric_key: "m" }],
    ];
    const before = (await face("runs/get", { run_id: otherRun })).body;
    for (const [path, fields] of attempts) {
      expect({ path, ...(await step(path, fields)) }).toMatchObject({
        status: 403,
        body: { error_code: "PERMISSION_DENIED" },
      });
    }
    expect((await face("runs/get", { run_id: otherRun })).body).toEqual(before);
    expect((await face("experiments/get", { experiment_id: other })).body.experiment.lifecycle_stage).toBe("active");
  });

  test("its own experiment is not its to rename, delete or restore", async () => {
    const record = await database.open();
    const { step, experimentId: experiment_id } = await prepare(record);
    for (const name of ["update", "delete", "restore"]) {
      const answer = await step(`experiments/${name}`, { experiment_id, new_name: "n" });
      expect({ name, ...answer }).toMatchObject({ status: 403 });
    }
  });

  test("an attempt that has ended keeps the engine's end; its name and tags may change", async () => {
    const record = await database.open();
    const { face, step, attemptId, runId } = await prepare(record);
    const { info } = (await face("runs/get", { run_id: attemptId })).body.run;
    expect(info.status).toBe("FINISHED");
    const update = { status: "FAILED", end_time: 5, run_name: "renamed" };
    expect((await step("runs/update", { run_id: attemptId, ...update })).body.run_info).toEqual({
      ...info,
      run_name: "renamed",
    });
    // The pipeline's run goes on: an update of it is only overruled by the engine's own end.
    expect((await step("runs/update", { run_id: runId, status: "FAILED" })).body.run_info.status).toBe("FAILED");
  });

  test("runs of pipelines are hidden here when they are deleted, and the engine's tables are not touched", async () => {
    const record = await database.open();
    const { face, attemptId, runId } = await prepare(record);
    const before = await record.engine.run(runId);
    for (const run_id of [attemptId, runId]) {
      expect((await face("runs/delete", { run_id })).status).toBe(200);
      expect((await face("runs/get", { run_id })).body.run.info.lifecycle_stage).toBe("deleted");
    }
    expect(await record.engine.run(runId)).toEqual(before);
    expect((await record.runs.get(runId))?.id).toBe(runId);
  });

  test("a pipeline whose experiment was deleted here runs again in it; its old runs stay hidden", async () => {
    const record = await database.open();
    const { face, experimentId, attemptId } = await prepare(record);
    await face("experiments/delete", { experiment_id: experimentId });
    const { id } = await record.engine.createRun(newRun());
    const { experiment } = (await face("experiments/get", { experiment_id: experimentId })).body;
    expect(experiment.lifecycle_stage).toBe("active");
    expect(await record.tracking.runs.info(id)).toMatchObject({ experimentId, lifecycleStage: "active" });
    expect(await record.tracking.runs.info(attemptId)).toMatchObject({ lifecycleStage: "deleted" });
  });

  test("metrics of a logged model are the model's too, unless it belongs to another experiment", async () => {
    const project = randomUUID();
    const record = await database.open(project);
    const { kysely } = await database.openDatabase(project);
    const { face, step, attemptId, experimentId, other } = await prepare(record);
    for (const [model_id, experiment_id] of [
      ["m-own", experimentId],
      ["m-other", other],
    ]) {
      await kysely
        .insertInto("logged_models")
        .values({
          project_id: project,
          model_id,
          experiment_id,
          name: model_id,
          artifact_location: "",
          status: "READY",
          lifecycle_stage: "active",
          creation_time: 1,
          last_updated_time: 1,
        })
        .execute();
    }
    const metric = { key: "auc", value: 0.9, timestamp: 1, step: 2, dataset_name: "d", dataset_digest: "1" };
    for (const _ of [1, 2]) {
      const metrics = [{ ...metric, model_id: "m-own" }];
      expect((await step("runs/log-batch", { run_id: attemptId, metrics })).status).toBe(200);
    }
    expect((await step("runs/log-metric", { run_id: attemptId, ...metric, model_id: "m-other" })).status).toBe(403);
    const { metrics } = (await face("runs/get", { run_id: attemptId })).body.run.data;
    expect(metrics).toEqual([{ key: "auc", value: 0.9, timestamp: 1, step: 2 }]);
    const kept = await kysely
      .selectFrom("logged_model_metrics")
      .selectAll()
      .where("project_id", "=", project)
      .execute();
    expect(kept).toEqual([{ project_id: project, run_id: attemptId, is_nan: 0, ...metric, model_id: "m-own" }]);
  });
});
