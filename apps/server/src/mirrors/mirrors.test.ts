import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createClient, type MirrorStatus } from "@espalier/contract";
import { afterEach, expect, test } from "vitest";
import { type MlflowServer, startMlflowServer } from "../../../../scripts/servers/mlflow.ts";
import { makeProject, startForTest } from "../testing/control-plane.ts";
import { until } from "../testing/until.ts";

const reason = "needs MLflow's server; `npm run test:servers -- mlflow` installs and starts one";
const suite = process.env["ESPALIER_TEST_MLFLOW_URI"] === undefined ? test.skip : test;
const named = (name: string): string => (suite === test ? name : `${name} (skipped: ${reason})`);

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

// biome-ignore lint/suspicious/noExplicitAny: answers of a server, read by hand.
type Answer = any;

async function post(url: string, path: string, body: object): Promise<Answer> {
  const response = await fetch(`${url}/api/2.0/mlflow/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
  return JSON.parse(text);
}

async function startServer(folder: string, port?: number): Promise<MlflowServer> {
  const server = await startMlflowServer({
    version: "3.17.2",
    backend: "sqlite",
    folder,
    workers: 1,
    ...(port === undefined ? {} : { port }),
  });
  if ("skipped" in server) throw new Error(server.skipped);
  closers.push(() => server.stop());
  return server;
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "espalier-mirror-"));
  closers.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

const stackOf = (uri: string): Record<string, string> => ({
  "espalier.yaml": `project: flights
default_stack: mirrored
stacks:
  mirrored:
    tracking: { uses: mlflow, with: { tracking_uri: "${uri}" } }
    registry: { uses: mlflow, with: { tracking_uri: "${uri}" } }
`,
});

/** Runs over there by the id of ours. */
async function remoteRuns(uri: string, experiment: string): Promise<Map<string, Answer[]>> {
  const answer = await fetch(`${uri}/api/2.0/mlflow/experiments/get-by-name?experiment_name=${experiment}`);
  const { experiment: found } = (await answer.json()) as Answer;
  const runs = new Map<string, Answer[]>();
  let token: string | undefined;
  do {
    const page = await post(uri, "runs/search", {
      experiment_ids: [found.experiment_id],
      run_view_type: "ALL",
      max_results: 1000,
      ...(token === undefined ? {} : { page_token: token }),
    });
    for (const run of page.runs ?? []) {
      const ours = run.data.tags.find((tag: Answer) => tag.key === "espalier.run_id")?.value;
      runs.set(ours, [...(runs.get(ours) ?? []), run]);
    }
    token = page.next_page_token || undefined;
  } while (token !== undefined);
  return runs;
}

async function pointsOf(uri: string, runId: string, key: string): Promise<number> {
  const query = new URLSearchParams({ run_id: runId, metric_key: key, max_results: "25000" });
  const answer = await fetch(`${uri}/api/2.0/mlflow/metrics/get-history?${query}`);
  return ((await answer.json()) as Answer).metrics?.length ?? 0;
}

async function logRun(url: string, experimentId: string, name: string, points: number): Promise<string> {
  const { run } = await post(url, "runs/create", { experiment_id: experimentId, run_name: name, start_time: 1 });
  const runId: string = run.info.run_id;
  const metrics = Array.from({ length: points }, (_, step) => ({
    key: "loss",
    value: 1 / (step + 1),
    step,
    timestamp: step,
  }));
  await post(url, "runs/log-batch", {
    run_id: runId,
    metrics,
    params: [{ key: "name", value: name }],
    tags: [{ key: "t", value: "1" }],
  });
  await post(url, "runs/update", { run_id: runId, status: "FINISHED", end_time: 2 });
  return runId;
}

suite(named("a server that is away, and comes back, has everything once"), async () => {
  const folder = await temporaryFolder();
  const first = await startServer(folder);
  const port = Number(new URL(first.url).port);
  await first.stop();
  const plane = await startForTest(await makeProject(stackOf(first.url)));
  const statuses = async (): Promise<MirrorStatus[]> => (await plane.client.call("mirrors.list", {})).items;
  const settled = (): Promise<true> =>
    until("the mirrors are told", async () => (await statuses()).every((one) => one.pending === 0) || undefined);

  const { experiment_id: experiment } = await post(plane.url, "experiments/create", { name: "away" });
  const one = await logRun(plane.url, experiment, "one", 900);
  const put = await fetch(
    `${plane.url}/api/2.0/mlflow-artifacts/artifacts/${experiment}/${one}/artifacts/model/MLmodel`,
    {
      method: "PUT",
      body: "flavors: {}\n",
    },
  );
  expect(put.status).toBe(200);
  await post(plane.url, "registered-models/create", { name: "away" });
  const source = `mlflow-artifacts:/${experiment}/${one}/artifacts/model`;
  await post(plane.url, "model-versions/create", { name: "away", source, run_id: one });
  await post(plane.url, "registered-models/alias", { name: "away", alias: "champion", version: "1" });
  const behind = await until("both mirrors have failed", async () => {
    const found = await statuses();
    return found.every((status) => status.tries > 0) ? found : undefined;
  });
  for (const status of behind) expect(status).toMatchObject({ lastError: expect.stringContaining("UNREACHABLE") });
  const health = await plane.client.call("doctor.check", { query: {} });
  expect(health.checks.filter((check) => check.name.startsWith("mirror")).map((check) => check.status)).toEqual([
    "warn",
    "warn",
  ]);

  const second = await startServer(folder, port);
  await settled();
  await second.stop();
  const two = await logRun(plane.url, experiment, "two", 500);
  await post(plane.url, "runs/delete", { run_id: two });
  await until("the tracking mirror has failed", async () => (await statuses()).some((s) => s.tries > 0) || undefined);
  const third = await startServer(folder, port);
  await settled();

  const runs = await remoteRuns(third.url, "away");
  expect([...runs.values()].map((found) => found.length)).toEqual([1, 1]);
  const [remoteOne] = runs.get(one) ?? [];
  const [remoteTwo] = runs.get(two) ?? [];
  expect(remoteOne.info).toMatchObject({ run_name: "one", status: "FINISHED", lifecycle_stage: "active" });
  expect(remoteTwo.info).toMatchObject({ run_name: "two", lifecycle_stage: "deleted" });
  expect(await pointsOf(third.url, remoteOne.info.run_id, "loss")).toBe(900);
  expect(await pointsOf(third.url, remoteTwo.info.run_id, "loss")).toBe(500);
  const path = `${remoteOne.info.artifact_uri.replace("mlflow-artifacts:/", "")}/model/MLmodel`;
  const file = await fetch(`${third.url}/api/2.0/mlflow-artifacts/artifacts/${path}`);
  expect(await file.text()).toBe("flavors: {}\n");
  const aliased = await fetch(`${third.url}/api/2.0/mlflow/registered-models/alias?name=away&alias=champion`);
  const { model_version: version } = (await aliased.json()) as Answer;
  const content = version.source.replace("mlflow-artifacts:/", "");
  const mlmodel = await fetch(`${third.url}/api/2.0/mlflow-artifacts/artifacts/${content}/MLmodel`);
  expect(await mlmodel.text()).toBe("flavors: {}\n");
  const healed = await plane.client.call("doctor.check", { query: {} });
  expect(healed.checks.filter((check) => check.name.startsWith("mirror")).every((c) => c.status === "ok")).toBe(true);
}, 900_000);

suite(named("a control plane that is killed while it tells a mirror tells each thing once"), async () => {
  const server = await startServer(await temporaryFolder());
  const project = await makeProject(stackOf(server.url));
  const runs = 30;
  const points = 200;
  let plane = await startProcess(project);
  const { experiment_id: experiment } = await post(plane.url, "experiments/create", { name: "killed" });
  const ids: string[] = [];
  for (let index = 0; index < runs; index += 1) ids.push(await logRun(plane.url, experiment, `r${index}`, points));
  for (let kill = 0; kill < 3; kill += 1) {
    const client = createClient({ url: plane.url, token: plane.token });
    const before = (await client.call("mirrors.list", {})).items[0]?.pending ?? 0;
    await until("some of it is told", async () => {
      const pending = (await client.call("mirrors.list", {})).items[0]?.pending ?? 0;
      return pending < before || pending === 0 || undefined;
    });
    plane.child.kill("SIGKILL");
    await once(plane.child, "exit");
    plane = await startProcess(project);
  }
  const client = createClient({ url: plane.url, token: plane.token });
  await until("all of it is told", async () => {
    return (await client.call("mirrors.list", {})).items.every((status) => status.pending === 0) || undefined;
  });
  const found = await remoteRuns(server.url, "killed");
  expect([...found.keys()].sort()).toEqual([...ids].sort());
  for (const [, same] of found) {
    expect(same).toHaveLength(1);
    expect(same[0].info.status).toBe("FINISHED");
    expect(await pointsOf(server.url, same[0].info.run_id, "loss")).toBe(points);
  }
}, 900_000);

suite(named(
  "what is logged of a model later follows it, and what somebody deleted over there is made anew",
), async () => {
  const server = await startServer(await temporaryFolder());
  const plane = await startForTest(await makeProject(stackOf(server.url)));
  const settled = (): Promise<true> =>
    until("the mirrors are told", async () => {
      const { items } = await plane.client.call("mirrors.list", {});
      return items.every((one) => one.pending === 0) || undefined;
    });
  const { experiment_id: experiment } = await post(plane.url, "experiments/create", { name: "anew" });
  const run = await logRun(plane.url, experiment, "one", 1);
  const made = await post(plane.url, "logged-models", { experiment_id: experiment, name: "m", source_run_id: run });
  const modelId: string = made.model.info.model_id;
  const finished = await fetch(`${plane.url}/api/2.0/mlflow/logged-models/${modelId}`, {
    method: "PATCH",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model_id: modelId, status: "LOGGED_MODEL_READY" }),
  });
  expect(finished.status).toBe(200);
  await settled();
  await post(plane.url, `logged-models/${modelId}/params`, { params: [{ key: "depth", value: "6" }] });
  for (const step of [0, 1]) {
    const metric = { key: "auc", value: 0.5 + step / 10, step, timestamp: step, model_id: modelId };
    await post(plane.url, "runs/log-batch", { run_id: run, metrics: [metric] });
  }
  await settled();
  const named = await fetch(`${server.url}/api/2.0/mlflow/experiments/get-by-name?experiment_name=anew`);
  const { experiment: found } = (await named.json()) as Answer;
  const { models } = await post(server.url, "logged-models/search", { experiment_ids: [found.experiment_id] });
  expect(models).toHaveLength(1);
  expect(models[0].data.params).toEqual([{ key: "depth", value: "6" }]);
  expect(models[0].data.metrics.map((metric: Answer) => metric.value)).toContain(0.6);

  await post(plane.url, "registered-models/create", { name: "anew" });
  const source = `mlflow-artifacts:/${experiment}/${run}/artifacts/model`;
  const file = await fetch(`${plane.url}/api/2.0/mlflow-artifacts/artifacts/${experiment}/${run}/artifacts/model/a`, {
    method: "PUT",
    body: "a",
  });
  expect(file.status).toBe(200);
  for (const _ of [1, 2]) await post(plane.url, "model-versions/create", { name: "anew", source, run_id: run });
  await settled();
  const deleted = await fetch(`${server.url}/api/2.0/mlflow/registered-models/delete`, {
    method: "DELETE",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name: "anew" }),
  });
  expect(deleted.status).toBe(200);
  await post(plane.url, "registered-models/alias", { name: "anew", alias: "champion", version: "2" });
  await settled();
  const again = await fetch(`${server.url}/api/2.0/mlflow/registered-models/get?name=anew`);
  const { registered_model: model } = (await again.json()) as Answer;
  expect(model.aliases).toEqual([{ alias: "champion", version: "2" }]);
}, 900_000);

interface Process {
  child: ChildProcess;
  url: string;
  token: string;
}

async function startProcess(project: string): Promise<Process> {
  const main = resolve(import.meta.dirname, "../../../cli/src/main.ts");
  const child = spawn(process.execPath, [main, "up"], { cwd: project, stdio: "ignore" });
  closers.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  });
  return until("the control plane is up", async () => {
    try {
      const owner = JSON.parse(await readFile(join(project, ".espalier/owner.json"), "utf8")) as Answer;
      if (owner.pid !== undefined && owner.pid !== child.pid) return undefined;
      const health = await fetch(`${owner.url}/health`);
      return health.ok ? { child, url: owner.url, token: owner.token } : undefined;
    } catch {
      return undefined;
    }
  });
}
