import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { startPostgres } from "../../../../../scripts/servers/postgres.ts";
import { describeOnBoth } from "../../db/testing/databases.ts";
import { startRawFace } from "../testing/raw-face.ts";

const api = "/api/2.0/mlflow";

describeOnBoth("tracking through MLflow's face", await startPostgres(), (database) => {
  const start = async () => {
    const face = await startRawFace(database);
    const post = async (path: string, body: object) => {
      const answer = await face.call("POST", `${api}/${path}`, body);
      expect({ path, body, answer }).toMatchObject({ answer: { status: 200 } });
      return answer.body;
    };
    const get = async (path: string, query: Record<string, string> | [string, string][]) => {
      const answer = await face.call("GET", `${api}/${path}?${new URLSearchParams(query)}`);
      expect({ path, query, answer }).toMatchObject({ answer: { status: 200 } });
      return answer.body;
    };
    const run = async (run_id: string) => (await get("runs/get", { run_id })).run;
    return { face, post, get, run };
  };

  test("an experiment is made, found, renamed, tagged, deleted with its runs and restored with them", async () => {
    const { face, post, get, run } = await start();
    const name = `flights ${randomUUID()}`;
    const tags = [{ key: "team", value: "ops" }];
    const { experiment_id } = await post("experiments/create", { name, tags });
    const read = async () => (await get("experiments/get", { experiment_id })).experiment;
    expect(await read()).toEqual({
      experiment_id,
      name,
      tags,
      artifact_location: `mlflow-artifacts:/${experiment_id}`,
      lifecycle_stage: "active",
      creation_time: expect.any(Number),
      last_update_time: expect.any(Number),
    });
    const { info } = (await post("runs/create", { experiment_id })).run;
    await post("experiments/set-experiment-tag", { experiment_id, key: "team", value: "ml" });
    await post("experiments/set-experiment-tag", { experiment_id, key: "note", value: "" });
    await post("experiments/delete-experiment-tag", { experiment_id, key: "note" });
    await post("experiments/update", { experiment_id, new_name: `${name} again` });
    await post("experiments/delete", { experiment_id });
    expect((await get("experiments/get-by-name", { experiment_name: `${name} again` })).experiment).toMatchObject({
      experiment_id,
      tags: [{ key: "team", value: "ml" }],
      lifecycle_stage: "deleted",
    });
    expect((await run(info.run_id)).info.lifecycle_stage).toBe("deleted");
    // The name stays taken.
    expect(await face.call("POST", `${api}/experiments/create`, { name: `${name} again` })).toMatchObject({
      status: 400,
      body: { error_code: "RESOURCE_ALREADY_EXISTS" },
    });
    await post("experiments/restore", { experiment_id });
    expect((await read()).lifecycle_stage).toBe("active");
    expect((await run(info.run_id)).info.lifecycle_stage).toBe("active");
  });

  test("a run is made, named, ended, deleted and restored; its name and its tag are one", async () => {
    const { post, run } = await start();
    const made = (
      await post("runs/create", {
        experiment_id: "0",
        user_id: "ana",
        start_time: 1_700_000_000_000,
        tags: [{ key: "mlflow.parentRunId", value: "p" }],
      })
    ).run;
    const { run_id, run_name } = made.info;
    expect(made).toEqual({
      info: {
        run_id,
        run_uuid: run_id,
        run_name: expect.stringMatching(/^[a-z]+-[a-z]+-\d+$/),
        experiment_id: "0",
        user_id: "ana",
        status: "RUNNING",
        start_time: 1_700_000_000_000,
        artifact_uri: `mlflow-artifacts:/0/${run_id}/artifacts`,
        lifecycle_stage: "active",
      },
      data: {
        tags: expect.arrayContaining([
          { key: "mlflow.parentRunId", value: "p" },
          { key: "mlflow.runName", value: run_name },
        ]),
      },
      inputs: {},
      outputs: {},
    });
    await post("runs/set-tag", { run_id, key: "mlflow.runName", value: "by tag" });
    expect((await run(run_id)).info.run_name).toBe("by tag");
    const ended = { status: "FINISHED", end_time: 1_700_000_000_500 };
    expect((await post("runs/update", { run_id, ...ended, run_name: "by name" })).run_info).toMatchObject({
      ...ended,
      run_name: "by name",
    });
    expect((await run(run_id)).data.tags).toContainEqual({ key: "mlflow.runName", value: "by name" });
    await post("runs/delete", { run_id });
    await post("runs/delete", { run_id });
    expect((await run(run_id)).info.lifecycle_stage).toBe("deleted");
    await post("runs/restore", { run_id });
    expect((await run(run_id)).info).toMatchObject({ ...ended, lifecycle_stage: "active" });
    await post("runs/set-tag", { run_id, key: "t", value: "v" });
    await post("runs/delete-tag", { run_id, key: "t" });
    expect((await run(run_id)).data.tags).not.toContainEqual({ key: "t", value: "v" });
    // As old clients have it, and as protobuf numbers it.
    expect((await post("runs/update", { run_uuid: run_id, status: 4 })).run_info.status).toBe("FAILED");
  });

  test("metrics keep 64 bits, NaN and infinities, and the latest is by step, not by arrival", async () => {
    const { post, get, run } = await start();
    const { run_id } = (await post("runs/create", {})).run.info;
    const log = (key: string, value: unknown, step: unknown, timestamp: unknown = 1) =>
      post("runs/log-metric", { run_id, key, value, step, timestamp });
    await log("loss", 0.5, 2);
    await log("loss", 0.9, 1, 9);
    await log("loss", 0.9, 1, 9);
    await log("odd", "NaN", 0);
    await log("high", "Infinity", "9223372036854775807", "9223372036854775807");
    await log("low", "-Infinity", "-9223372036854775808");
    const history = async (metric_key: string) => (await get("metrics/get-history", { run_id, metric_key })).metrics;
    expect(await history("loss")).toEqual([
      { key: "loss", value: 0.5, timestamp: 1, step: 2 },
      { key: "loss", value: 0.9, timestamp: 9, step: 1 },
    ]);
    const { metrics } = (await run(run_id)).data;
    expect(metrics).toEqual([
      { key: "high", value: Number.MAX_VALUE, timestamp: 2n ** 63n - 1n, step: 2n ** 63n - 1n },
      { key: "loss", value: 0.5, timestamp: 1, step: 2 },
      { key: "low", value: -Number.MAX_VALUE, timestamp: 1, step: -(2n ** 63n) },
      { key: "odd", value: "NaN", timestamp: 1, step: 0 },
    ]);
    expect(await get("metrics/get-history", { run_id, metric_key: "absent" })).toEqual({});
  });

  test("a history is paged, and of several runs told at once, whole or as a sample", async () => {
    const { post, get } = await start();
    const ids: string[] = [];
    for (let index = 0; index < 2; index += 1) {
      const { run_id } = (await post("runs/create", {})).run.info;
      const metrics = Array.from({ length: 100 }, (_, step) => ({
        key: "m",
        value: step,
        timestamp: 100 + step,
        step,
      }));
      await post("runs/log-batch", { run_id, metrics });
      ids.push(run_id);
    }
    const [run_id = ""] = ids;
    const first = await get("metrics/get-history", { run_id, metric_key: "m", max_results: "60" });
    const rest = await get("metrics/get-history", {
      run_id,
      metric_key: "m",
      max_results: "60",
      page_token: first.next_page_token,
    });
    expect([...first.metrics, ...rest.metrics].map(({ step }) => step)).toEqual([...Array(100).keys()]);
    expect(rest).not.toHaveProperty("next_page_token");
    const both = ids.map((id): [string, string] => ["run_id", id]);
    const bulk = (await get("metrics/get-history-bulk", [...both, ["metric_key", "m"], ["max_results", "150"]]))
      .metrics;
    expect(bulk).toHaveLength(150);
    expect(bulk[149]).toMatchObject({ run_id: [...ids].sort()[1], step: 49 });
    const interval = await get("metrics/get-history-bulk-interval", [
      ...ids.map((id): [string, string] => ["run_ids", id]),
      ["metric_key", "m"],
      ["start_step", "10"],
      ["end_step", "29"],
      ["max_results", "3"],
    ]);
    expect(interval.metrics.map((point: { run_id: string; step: number }) => [point.run_id, point.step])).toEqual(
      ids.flatMap((id) => [10, 17, 29].map((step) => [id, step])),
    );
  });

  test("data sets and models that a run read and made are told with it, and telling them again changes nothing", async () => {
    const { post, run } = await start();
    const { run_id } = (await post("runs/create", {})).run.info;
    const dataset = { name: "flights", digest: "d1", source_type: "local", source: "{}", schema: "s", profile: "p" };
    const tags = [{ key: "mlflow.data.context", value: "training" }];
    for (const _ of [1, 2]) {
      await post("runs/log-inputs", { run_id, datasets: [{ dataset, tags }], models: [{ model_id: "m-in" }] });
      await post("runs/outputs", { run_id, models: [{ model_id: "m-out", step: 3 }] });
    }
    const { inputs, outputs } = await run(run_id);
    expect(inputs).toEqual({ dataset_inputs: [{ dataset, tags }], model_inputs: [{ model_id: "m-in" }] });
    expect(outputs).toEqual({ model_outputs: [{ model_id: "m-out", step: 3 }] });
  });

  test("a model of an old client is kept in the run's tag, each once", async () => {
    const { post, run } = await start();
    const { run_id } = (await post("runs/create", {})).run.info;
    const model = {
      artifact_path: "model",
      run_id,
      utc_time_created: "2026-01-01",
      flavors: { python_function: { loader_module: "x", config: { secret: 1 } } },
      signature: {},
    };
    for (const artifact_path of ["model", "model", "other"]) {
      await post("runs/log-model", { run_id, model_json: JSON.stringify({ ...model, artifact_path }) });
    }
    const { tags } = (await run(run_id)).data;
    const { value } = tags.find((tag: { key: string }) => tag.key === "mlflow.log-model.history");
    const { signature: _, ...kept } = model;
    const flavors = { python_function: { loader_module: "x" } };
    expect(JSON.parse(value)).toEqual([
      { ...kept, flavors },
      { ...kept, flavors, artifact_path: "other" },
    ]);
  });
});
