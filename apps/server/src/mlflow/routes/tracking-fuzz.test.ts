import fc from "fast-check";
import { expect, test } from "vitest";
import { startPostgres } from "../../../../../scripts/servers/postgres.ts";
import { describeOnBoth } from "../../db/testing/databases.ts";
import { startRawFace } from "../testing/raw-face.ts";

const posts = [
  ...["create", "update", "delete", "restore", "set-experiment-tag", "delete-experiment-tag"].map(
    (name) => `experiments/${name}`,
  ),
  ...["create", "update", "delete", "restore", "log-metric", "log-parameter", "set-tag", "delete-tag"].map(
    (name) => `runs/${name}`,
  ),
  ...["log-batch", "log-model", "log-inputs", "outputs"].map((name) => `runs/${name}`),
];
const gets = [
  ...["experiments/get", "experiments/get-by-name", "runs/get"],
  ...["get-history", "get-history-bulk", "get-history-bulk-interval"].map((name) => `metrics/${name}`),
];
const members =
  "experiment_id name new_name artifact_location tags key value run_id run_uuid run_name user_id status start_time end_time timestamp step model_id dataset_name metrics params datasets dataset digest source source_type schema models model_json metric_key metric max_results page_token run_ids start_step end_step experiment_name".split(
    " ",
  );

describeOnBoth("anything at all sent to the tracking routes", await startPostgres(), (database) => {
  test("is answered or refused, never failed", async () => {
    const face = await startRawFace(database);
    const { body: made } = await face.call("POST", "/api/2.0/mlflow/runs/create", {});
    const { run_id } = made.run.info;
    const scalar = fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom("0", run_id, "m", "mlflow.runName", "FINISHED", "active", "{}", "[1]") },
      fc.constantFrom("\0", "\ud800", "a/../b", "NaN", "-Infinity", "9223372036854775808", "-9223372036854775808", ""),
      fc.constantFrom(0, -1, 1e308, 2 ** 53, 0.5, true, null),
      fc.string({ unit: "binary", maxLength: 40 }),
      fc.jsonValue({ maxDepth: 2 }),
    );
    const item = fc.dictionary(
      fc.constantFrom(...members),
      fc.oneof(scalar, fc.dictionary(fc.constantFrom(...members), scalar)),
    );
    const body = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.dictionary(
          fc.constantFrom(...members),
          fc.oneof({ weight: 2, arbitrary: scalar }, fc.array(fc.oneof(item, scalar), { maxLength: 3 })),
          { maxKeys: 8 },
        ),
      },
      // With what the routes ask for, so that more than the first check is met.
      {
        weight: 3,
        arbitrary: fc.record({
          run_id: fc.constant(run_id),
          key: scalar,
          value: scalar,
          timestamp: scalar,
          step: scalar,
        }),
      },
      {
        weight: 3,
        arbitrary: fc.record({
          run_id: fc.constant(run_id),
          metrics: fc.array(item),
          params: fc.array(item),
          tags: fc.array(item),
          datasets: fc.array(item),
          models: fc.array(item),
        }),
      },
      fc.jsonValue(),
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...posts), body, async (path, sent) => {
        const answer = await face.call("POST", `/api/2.0/mlflow/${path}`, sent);
        expect(answer.status).toBeLessThan(500);
      }),
      { numRuns: 600 },
    );
    const query = fc.array(
      fc.tuple(
        fc.constantFrom(...members),
        fc.oneof(fc.constantFrom(run_id, "m", "0", "5"), fc.string({ unit: "binary" })),
      ),
      { maxLength: 6 },
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...gets), query, async (path, sent) => {
        const answer = await face.call("GET", `/ajax-api/2.0/mlflow/${path}?${new URLSearchParams(sent)}`);
        expect(answer.status).toBeLessThan(500);
      }),
      { numRuns: 300 },
    );
    expect((await face.call("GET", `/api/2.0/mlflow/runs/get?run_id=${run_id}`)).status).toBe(200);
  }, 120_000);
});
