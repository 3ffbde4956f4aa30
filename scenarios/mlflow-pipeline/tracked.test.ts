import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, createClient, type RunDetail } from "@espalier/contract";
import { type StartedControlPlane, startControlPlane } from "@espalier/server";
import { afterAll, beforeAll, expect, test } from "vitest";

/** What `import mlflow` in a step's script leaves on record: design §5, "MLflow's words for ours". */
const timeout = 240_000;
const folder = mkdtempSync(join(tmpdir(), "espalier-tracked-"));
let plane: StartedControlPlane;
let client: Client;

beforeAll(async () => {
  cpSync(join(import.meta.dirname, "project"), folder, { recursive: true });
  plane = await startControlPlane({ projectDirectory: folder, databaseUrl: "" });
  client = createClient({ url: plane.url, token: plane.token });
});
afterAll(async () => {
  await plane?.close();
  rmSync(folder, { recursive: true, force: true });
});

interface MlflowRun {
  info: { run_id: string; run_name: string; experiment_id: string; status: string; end_time?: number };
  data: { metrics?: Entry[]; params?: Entry[]; tags?: Entry[] };
}
interface Entry {
  key: string;
  value: string | number;
}

const entryOf = (entries: Entry[] | undefined, key: string): string | number | undefined =>
  entries?.find((entry) => entry.key === key)?.value;
const tagOf = (run: MlflowRun, key: string): string | number | undefined => entryOf(run.data.tags, key);

async function mlflow<Answer>(path: string, body: object): Promise<Answer> {
  const response = await fetch(`${plane.url}/api/2.0/mlflow/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  expect(response.status, await response.clone().text()).toBe(200);
  return (await response.json()) as Answer;
}

/** All runs of the pipeline's experiment, the oldest first. */
async function runsOf(experimentId: string): Promise<MlflowRun[]> {
  const { runs = [] } = await mlflow<{ runs?: MlflowRun[] }>("runs/search", {
    experiment_ids: [experimentId],
    order_by: ["attributes.start_time ASC"],
    max_results: 1000,
  });
  return runs;
}

async function start(params: Record<string, string>): Promise<string> {
  return (await client.call("runs.create", { body: { pipeline: "track", params } })).id;
}

async function end(runId: string): Promise<RunDetail> {
  for await (const _event of client.events("runs.events", { params: { runId } }));
  return client.call("runs.get", { params: { runId } });
}

/** The family of one pipeline run: itself, its attempts, and what their scripts began. */
async function familyOf(runId: string): Promise<{ parent: MlflowRun; below(id: string): MlflowRun[] }> {
  const response = await fetch(`${plane.url}/api/2.0/mlflow/runs/get?run_id=${runId}`);
  const { run: parent } = (await response.json()) as { run: MlflowRun };
  const all = await runsOf(parent.info.experiment_id);
  return { parent, below: (id) => all.filter((run) => tagOf(run, "mlflow.parentRunId") === id) };
}

const names = (runs: MlflowRun[]): string[] => runs.map((run) => run.info.run_name).sort();

test("attempts are children of the pipeline's run, retries are children of their own, nested runs lie below", {
  timeout: 240_000,
}, async () => {
  const runId = await start({ fail_first: "1" });
  expect((await end(runId)).run.state).toBe("succeeded");
  const { parent, below } = await familyOf(runId);
  expect(parent.info).toMatchObject({ status: "FINISHED", end_time: expect.any(Number) });
  expect(tagOf(parent, "espalier.param.fail_first")).toBe("1");

  const attempts = below(runId);
  expect(attempts.map((run) => [tagOf(run, "espalier.attempt"), run.info.status])).toEqual([
    ["1", "FAILED"],
    ["2", "FINISHED"],
  ]);
  for (const attempt of attempts) {
    expect(attempt.info.experiment_id).toBe(parent.info.experiment_id);
    expect(tagOf(attempt, "espalier.mlflow_experiment")).toBe("team/old experiment");
    expect(tagOf(attempt, "team")).toBe("delays");
    expect(entryOf(attempt.data.metrics, "own")).toBe(1.5);
    // By autolog.
    expect(entryOf(attempt.data.params, "C")).toBe("0.5");
    expect(entryOf(attempt.data.metrics, "training_accuracy_score")).toBeGreaterThan(0.9);
    const [fold, afterwards] = below(attempt.info.run_id);
    expect(fold?.info).toMatchObject({ run_name: "fold", status: "FINISHED" });
    expect(names(below(fold?.info.run_id ?? ""))).toEqual(["deep"]);
    expect(afterwards?.info.run_name).toBe(attempt === attempts[1] ? "afterwards" : undefined);
  }
  const metrics = await client.call("runs.metrics", { params: { runId } });
  expect(metrics.items).toContainEqual(expect.objectContaining({ stepName: "train", key: "own", value: 1.5 }));

  const again = await start({ fail_first: "1" });
  expect((await end(again)).steps[0]?.state).toBe("cached");
  const cached = await familyOf(again);
  expect(cached.parent.info.status).toBe("FINISHED");
  expect(tagOf(cached.parent, "espalier.cached.train")).toBe(attempts[1]?.info.run_id);
  expect(cached.below(again)).toEqual([]);
});

test("a step that fails leaves failed runs, whatever its script still said", { timeout }, async () => {
  const runId = await start({ end: "failed" });
  expect((await end(runId)).run.state).toBe("failed");
  const { parent, below } = await familyOf(runId);
  expect(parent.info.status).toBe("FAILED");
  const attempts = below(runId);
  expect(attempts.map((run) => run.info.status)).toEqual(["FAILED", "FAILED"]);
});

test("a cancelled run is killed, with the runs that its script had begun", { timeout }, async () => {
  const runId = await start({ end: "killed" });
  for await (const chunk of client.events("logs.follow", { params: { runId, step: "train" } })) {
    if (chunk.data.text.includes("waiting")) break;
  }
  await client.call("runs.cancel", { params: { runId } });
  expect((await end(runId)).run.state).toBe("cancelled");
  const { parent, below } = await familyOf(runId);
  expect(parent.info.status).toBe("KILLED");
  const [attempt] = below(runId);
  expect(attempt?.info).toMatchObject({ status: "KILLED", end_time: expect.any(Number) });
  const nested = below(attempt?.info.run_id ?? "");
  expect(names(nested)).toEqual(["fold", "left open"]);
  expect(nested.find((run) => run.info.run_name === "left open")?.info.status).toBe("KILLED");
});
