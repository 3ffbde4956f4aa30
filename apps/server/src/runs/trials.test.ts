import type { Client } from "@espalier/contract";
import { expect, test, vi } from "vitest";
import { makeProject, runToEnd, startForTest } from "../testing/control-plane.ts";

async function ranOnce(client: Client, pipeline: string): Promise<{ id: string; state: string }> {
  const { id } = await client.call("runs.create", { body: { pipeline } });
  await runToEnd(client, id);
  return (await client.call("runs.get", { params: { runId: id } })).run;
}

const report = (value: string, more = ""): string =>
  `printf '{"type":"metric","key":"auc","value":%s,"step":%s}\\n' ${value} \${AT:-1} >> $ESPALIER_EVENTS${more}`;
const write = "echo model > ${{ outputs.model }}";

const pipeline = (name: string, run: string, tune: string): string => `
name: ${name}
steps:
  train:
    run: |
${run.replaceAll(/^/gm, "      ")}
    outputs: { model: file }
    tune: ${tune}
  after: { run: 'cp \${{ inputs.model }} \${{ outputs.copy }}', inputs: { model: train.model, table: train.trials }, outputs: { copy: file }, when: train.best_trial.metric > 0.5 }
`;

test("trials are told with values, metric and state; MLflow sees the values as params, the next search finds them cached", async () => {
  const long = "x".repeat(9_000);
  const project = await makeProject({
    "pipelines/search.yaml": pipeline(
      "search",
      `echo \${{ trial.note }} > /dev/null\ntest \${{ trial.share }} = 0.5 && exit 3\n${report("${{ trial.share }}")}\n${write}`,
      `{ search: { share: { choice: [0.25, 0.75, 0.5, 0.125] }, note: { choice: ["${long}", "b"] } }, method: grid, max_failed: 2, objective: { metric: auc, direction: maximize } }`,
    ),
  });
  const { client, url } = await startForTest(project);
  const run = await ranOnce(client, "search");
  expect(run.state).toBe("succeeded");
  const told = await client.call("runs.trials", { params: { runId: run.id, step: "train" } });
  expect(told).toMatchObject({ method: "grid", planned: 8, objective: { metric: "auc", direction: "maximize" } });
  const best = told.trials.find(({ trial }) => trial === told.best);
  expect(best).toMatchObject({ values: { share: 0.75 }, metric: 0.75, state: "succeeded" });
  expect(told.trials.filter(({ state }) => state === "failed").map(({ values }) => values.share)).toEqual([0.5, 0.5]);
  expect(told.trials.every(({ startedAt = 0, finishedAt = 0 }) => finishedAt >= startedAt && startedAt > 0)).toBe(true);
  const detail = await client.call("runs.get", { params: { runId: run.id } });
  const step = detail.steps.find((row) => row.step === "train" && row.branch === -1);
  // More than a `value` may hold.
  expect(step?.outputs?.trials).toMatchObject({ type: "file" });
  expect(step?.outputs?.trials?.size).toBeGreaterThan(32_000);

  const answer = await fetch(`${url}/api/2.0/mlflow/runs/get?run_id=${best?.attemptId}`);
  const { data } = (
    (await answer.json()) as { run: { data: Record<"params" | "tags", { key: string; value: string }[]> } }
  ).run;
  expect(data.params).toContainEqual({ key: "share", value: "0.75" });
  expect(data.tags).toContainEqual({ key: "espalier.trial", value: String(told.best) });

  const again = await ranOnce(client, "search");
  const second = await client.call("runs.trials", { params: { runId: again.id, step: "train" } });
  expect(second.trials.map(({ state }) => state)).toEqual(
    told.trials.map(({ state }) => (state === "succeeded" ? "cached" : state)),
  );
  expect(second.best).toBe(told.best);
  expect(second.trials.map(({ metric }) => metric)).toEqual(told.trials.map(({ metric }) => metric));
  await expect(client.call("runs.trials", { params: { runId: run.id, step: "after" } })).rejects.toMatchObject({
    code: "NOT_FOUND",
    hint: "Steps with trials: train.",
  });
}, 120_000);

test("real processes that fall behind are stopped, to MLflow killed and tagged", async () => {
  const project = await makeProject({
    "pipelines/halving.yaml": pipeline(
      "halving",
      `for AT in 1 2 3; do\n  ${report("${{ trial.share }}")}\n  sleep 0.2\ndone\nif test \${{ trial.share }} != 0.9; then sleep 600; fi\n${write}`,
      "{ search: { share: { choice: [0.9, 0.1, 0.2] } }, method: grid, stop_early: { after: 1, factor: 3 }, objective: { metric: auc, direction: maximize } }",
    ),
  });
  const { client, url } = await startForTest(project);
  const run = await ranOnce(client, "halving");
  const { trials, best } = await client.call("runs.trials", { params: { runId: run.id, step: "train" } });
  expect(trials.map(({ state }) => state)).toEqual(["succeeded", "pruned", "pruned"]);
  expect(best).toBe(0);
  expect(trials[1]?.reason).toMatch(/^auc 0\.1 at step \d is not among the best of \d$/);
  const answer = await fetch(`${url}/api/2.0/mlflow/runs/get?run_id=${trials[1]?.attemptId}`);
  const told = ((await answer.json()) as { run: { info: { status: string }; data: { tags: { key: string }[] } } }).run;
  expect(told.info.status).toBe("KILLED");
  expect(told.data.tags.map(({ key }) => key)).toContain("espalier.pruned");
  const detail = await client.call("runs.get", { params: { runId: run.id } });
  expect(detail.attempts.filter(({ branch }) => branch > 0).map(({ state }) => state)).toEqual(["pruned", "pruned"]);
}, 120_000);

test("a cancelled search stops all its trials and says so", async () => {
  const project = await makeProject({
    "pipelines/long.yaml": pipeline(
      "long",
      `${report("0.1")}\nsleep 600\n${write}`,
      "{ search: { depth: { integer: [1, 4] } }, method: grid, concurrency: 2, objective: { metric: auc, direction: maximize } }",
    ),
  });
  const { client } = await startForTest(project);
  const { id } = await client.call("runs.create", { body: { pipeline: "long" } });
  const trialsOf = () => client.call("runs.trials", { params: { runId: id, step: "train" } });
  await vi.waitUntil(async () => (await trialsOf()).trials.filter(({ metric }) => metric === 0.1).length === 2, {
    timeout: 60_000,
    interval: 200,
  });
  await client.call("runs.cancel", { params: { runId: id } });
  await vi.waitUntil(async () => (await client.call("runs.get", { params: { runId: id } })).run.state === "cancelled", {
    timeout: 60_000,
    interval: 200,
  });
  const { trials, best } = await trialsOf();
  expect(trials.map(({ state }) => state)).toEqual(["cancelled", "cancelled", "cancelled", "cancelled"]);
  expect(best).toBeUndefined();
}, 120_000);
