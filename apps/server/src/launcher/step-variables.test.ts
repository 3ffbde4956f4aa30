import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { makeProject, runToEnd, startForTest } from "../testing/control-plane.ts";
import { mlflowVariables } from "./step-variables.ts";

const probe = `
import { writeFileSync } from "node:fs";
const { MLFLOW_TRACKING_URI: uri, MLFLOW_TRACKING_TOKEN: token, MLFLOW_RUN_ID: run, MLFLOW_EXPERIMENT_ID: experiment } = process.env;
const ask = async (path, headers = {}) => (await fetch(uri + path, { headers })).status;
const authorization = "Bearer " + token;
console.log("the token is " + token);
console.error(JSON.stringify(process.env));
writeFileSync(process.env.ESPALIER_OUTPUTS + "/seen", JSON.stringify({
  uri, run, experiment, attempt: process.env.ESPALIER_ATTEMPT_ID, token,
  manifest: await ask("/api/v1/attempts/" + run + "/manifest", { authorization }),
  other: await ask("/api/v1/attempts/another/manifest", { authorization }),
  runs: await ask("/api/v1/runs", { authorization }),
}));
process.exit(process.env.ESPALIER_PARAMS.includes("1") ? 3 : 0);
`;
const files = {
  "src/probe.mjs": probe,
  "pipelines/probe.yaml": `name: probe
params: { fail: 0 }
steps:
  look:
    run: ${process.execPath} probe.mjs
    source: ./src
    params: [fail]
    outputs: { seen: file }
  again:
    uses: sql
    inputs: { seen: look.seen, script: ./sql/nothing.sql }
    outputs: { out: parquet }
`,
  "sql/nothing.sql": "CREATE TABLE out AS SELECT 1 AS one;",
};

interface Seen {
  uri: string;
  run: string;
  experiment: string;
  attempt: string;
  token: string;
  manifest: number;
  other: number;
  runs: number;
}

function everythingIn(folder: string): string {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"))
    .join("\n");
}

test("a step is told where and as whom to log, by a token that opens its own attempt and dies with it", async () => {
  const directory = await makeProject(files);
  const { client, url } = await startForTest(directory);
  const run = await client.call("runs.create", { body: { pipeline: "probe" } });
  await runToEnd(client, run.id);
  expect((await client.call("runs.get", { params: { runId: run.id } })).run.state).toBe("succeeded");
  const artifacts = await client.call("artifacts.ofRun", { params: { runId: run.id } });
  const output = artifacts.items.find((item) => item.output === "seen");
  const bytes = await client.bytes("artifacts.download", {
    params: { digest: output?.artifact.digest ?? "" },
    query: { type: "file" },
  });
  const seen = (await new Response(bytes).json()) as Seen;
  // CONFLICT: the launcher's route knows the token, and that this attempt is none of a launcher's.
  expect(seen).toMatchObject({ uri: url, run: seen.attempt, manifest: 409, other: 403, runs: 403 });
  const after = await fetch(`${url}/api/v1/attempts/${seen.run}/manifest`, {
    headers: { authorization: `Bearer ${seen.token}` },
  });
  expect(after.status).toBe(401);

  const log = await client.call("logs.get", { params: { runId: run.id, step: "look" } });
  expect(log.text).toContain("the token is ****");
  expect(log.text).not.toContain(seen.token);
  const record = new DatabaseSync(join(directory, ".espalier", "record.db"), { readOnly: true });
  const row = record.prepare("SELECT experiment_id, parent_run_id, status FROM runs WHERE run_id = ?").get(seen.run);
  expect(row).toEqual({ experiment_id: seen.experiment, parent_run_id: run.id, status: "FINISHED" });
  expect(record.prepare("SELECT count(*) AS n FROM tokens").get()).toEqual({ n: 0 });

  // Cached: the token is no part of the key, and the pipeline's run says whose outputs these are.
  const second = await client.call("runs.create", { body: { pipeline: "probe" } });
  await runToEnd(client, second.id);
  const tags = record.prepare("SELECT key, value FROM tags WHERE run_id = ? AND key LIKE 'espalier.cached.%'");
  expect(tags.all(second.id)).toContainEqual({ key: "espalier.cached.look", value: seen.run });
  expect((await client.call("runs.get", { params: { runId: second.id } })).steps[0]?.state).toBe("cached");
  record.close();
});

test("what a failed step leaves behind does not tell its token", async () => {
  const directory = await makeProject(files);
  const { client } = await startForTest(directory);
  const run = await client.call("runs.create", { body: { pipeline: "probe", params: { fail: "1" } } });
  await runToEnd(client, run.id);
  const done = await client.call("runs.get", { params: { runId: run.id } });
  expect(done.steps[0]?.error?.details).toMatchObject({ exitCode: 3 });
  const [attempt = ""] = readdirSync(join(directory, ".espalier", "attempts"));
  const left = join(directory, ".espalier", "attempts", attempt);
  await expect.poll(() => readdirSync(left)).not.toContain("token");
  const outputs = JSON.parse(readFileSync(join(left, "outputs", "seen"), "utf8")) as Seen;
  expect(everythingIn(left).replaceAll(JSON.stringify(outputs), "")).not.toContain(outputs.token);
  expect(JSON.stringify(done)).not.toContain(outputs.token);
});

test("credentials of MLflow's own file do not go before the token; elsewhere the declared address is told", async () => {
  const home = mkdtempSync(join(tmpdir(), "espalier-home-"));
  const tracking = { experimentOfRun: async () => "7" };
  const urls = { url: () => "http://127.0.0.1:1", publicUrl: () => "https://here.example" };
  const variables = mlflowVariables({ tracking } as never, urls, home);
  const order = { attemptId: "a" } as Parameters<typeof variables>[0];
  const plain = { MLFLOW_TRACKING_URI: "http://127.0.0.1:1", MLFLOW_RUN_ID: "a", MLFLOW_EXPERIMENT_ID: "7" };
  expect(await variables(order, { token: "t", elsewhere: false })).toEqual({ ...plain, MLFLOW_TRACKING_TOKEN: "t" });
  await mkdir(join(home, ".mlflow"));
  writeFileSync(join(home, ".mlflow", "credentials"), "[mlflow]\nmlflow_tracking_username = ana\n");
  expect(await variables(order, { token: "t", elsewhere: false })).toMatchObject({
    MLFLOW_TRACKING_USERNAME: "step",
    MLFLOW_TRACKING_PASSWORD: "t",
  });
  const files = mlflowVariables({ tracking } as never, { ...urls, files: true }, home);
  expect(await files(order, { token: "t", elsewhere: true, launched: true })).toEqual({});
  expect(await files(order, { token: "t", elsewhere: true })).toMatchObject({ MLFLOW_TRACKING_TOKEN: "t" });
  expect(await variables(order, { token: "t", elsewhere: true })).toEqual({
    ...plain,
    MLFLOW_TRACKING_URI: "https://here.example",
    MLFLOW_TRACKING_TOKEN: "t",
  });
});
