import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { logisticModel, matrixSignature, writeModelFolder } from "@espalier/conformance";
import { expect, test } from "vitest";
import { startForTest } from "../testing/control-plane.ts";
import { until } from "../testing/until.ts";
import { apply, declare, params, plan, projectWithModels, register, served } from "./testing/declared-project.ts";

const writeModel = (folder: string, bias: number) =>
  writeModelFolder(folder, logisticModel([1, 1], bias), matrixSignature(["x0", "x1"]));

test("an endpoint that names no model takes its settings from there, and is nobody's to prune", async () => {
  const project = await projectWithModels("capture: { rate: 0.3 }, limits: { queue: 10 }", writeModel);
  const { client } = await startForTest(project);
  await register(client, "first");
  expect(await apply(client)).toMatchObject({ outcome: "unchanged", reason: expect.stringContaining("deploy") });
  const body = { model: "clicks", version: "1", gate: "none" } as const;
  await client.call("endpoints.deploy", { params, body });
  expect((await client.call("endpoints.get", { params })).captureRate).toBe(0.3);
  expect(await plan(client)).toMatchObject({ action: "none" });
  await declare(project, "capture: { rate: 0.6 }");
  expect(await apply(client)).toMatchObject({
    outcome: "done",
    changes: [{ field: "capture.rate", from: 0.3, to: 0.6 }],
  });
  await declare(project, "");
  expect(await plan(client)).toBeUndefined();
  expect(await apply(client, { prune: true })).toBeUndefined();
  expect(await served(client)).toEqual(["1"]);
});

test("how the built-in server runs a version is declared, and a change starts it anew without a failed request", async () => {
  const project = await projectWithModels("model: clicks/1, gate: none, server: { batch_rows: 1 }", writeModel);
  const { client } = await startForTest(project);
  await register(client, "first");
  expect(await apply(client)).toMatchObject({ outcome: "done" });
  const body = { dataframe_split: { columns: ["x0", "x1"], data: [[1, 1]] } };
  const answers: unknown[] = [];
  let isOver = false;
  const calling = (async () => {
    while (!isOver) answers.push(await client.call("endpoints.predict", { params, body }).catch((error) => error));
  })();
  const python = "python: { workers: 2, timeout: 30s, memory: 2Gi }";
  await declare(project, `model: clicks/1, gate: none, server: { batch_rows: 64, ${python} }`);
  const wanted = { maxBatchRows: 64, pythonWorkers: 2, pythonTimeoutSeconds: 30, pythonMemoryBytes: 2 * 1024 ** 3 };
  const changes = [{ field: "server", from: { maxBatchRows: 1 }, to: wanted }];
  expect(await plan(client)).toMatchObject({ action: "update", changes });
  expect(await apply(client)).toMatchObject({ outcome: "done", changes });
  isOver = true;
  await calling;
  expect(answers.length).toBeGreaterThan(0);
  expect(answers.filter((answer) => answer instanceof Error)).toEqual([]);
  expect(await plan(client)).toMatchObject({ action: "none" });
  const versions = join(project, ".espalier/endpoints", params.name, "versions");
  const commands = readdirSync(versions).map((key) => {
    const { pid } = JSON.parse(readFileSync(join(versions, key, "process.json"), "utf8")) as { pid: number };
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  });
  expect(commands).toHaveLength(1);
  for (const words of [
    ["--max-batch-rows", "64"],
    ["--python-workers", "2"],
    ["--python-timeout-seconds", "30"],
    ["--python-memory-bytes", String(2 * 1024 ** 3)],
  ]) {
    expect(commands[0]?.join(" ")).toContain(words.join(" "));
  }
});

test("a program of one's own serves a declared model, until the built-in server is declared", async () => {
  const program = 'command: [python3, -m, http.server, "{port}", --bind, 127.0.0.1, --directory, "{model}"]';
  const own = `model: clicks/1, gate: none, runtime: { ${program}, health_path: /, paths: [/signature.json] }`;
  const project = await projectWithModels(own, writeModel);
  const { client } = await startForTest(project);
  await register(client, "first");
  await declare(project, "model: clicks/1, gate: none, runtime: { command: [no-such-program] }");
  expect(await apply(client)).toMatchObject({
    outcome: "failed",
    problem: { code: "NOT_INSTALLED", hint: expect.stringContaining("what `runtime` of the endpoint says") },
  });
  await declare(project, own);
  expect(await apply(client)).toMatchObject({ outcome: "done" });
  const { url } = await client.call("endpoints.get", { params });
  const answer = await fetch(`${url}/signature.json`);
  expect(await answer.json()).toHaveProperty("inputs");
  await declare(project, "model: clicks/1, gate: none");
  expect(await plan(client)).toMatchObject({ action: "update", changes: [{ field: "runtime", to: null }] });
  expect(await apply(client)).toMatchObject({ outcome: "done" });
  const predictions = await until("the built-in server answers", () =>
    client
      .call("endpoints.predict", { params, body: { dataframe_split: { columns: ["x0", "x1"], data: [[1, 1]] } } })
      .catch(() => undefined),
  );
  expect(predictions).toHaveProperty("predictions");
});
