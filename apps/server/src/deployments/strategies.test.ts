import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { logisticModel, matrixSignature, writeModelFolder } from "@espalier/conformance";
import type { Client } from "@espalier/contract";
import { loadEmbeddedParts } from "@espalier/host";
import { expect, test } from "vitest";
import { makeProject, runToEnd, startForTest } from "../testing/control-plane.ts";
import { until } from "../testing/until.ts";

const pipeline = `
name: train
params: { which: first }
steps:
  train:
    run: cp -r \${{ inputs.models }}/\${{ params.which }} \${{ outputs.model }}
    inputs: { models: ./models }
    outputs: { model: model }
  register:
    uses: register
    gate: none
    inputs: { model: train.model }
    with: { name: clicks }
`;

/** Versions 1 and 2 predict alike, 3 wants a column that nobody sends, 4 can not be loaded. */
async function started(): Promise<{ client: Client; project: string }> {
  const project = await makeProject({ "pipelines/train.yaml": pipeline });
  const folder = join(project, "models");
  await mkdir(folder, { recursive: true });
  await writeModelFolder(join(folder, "first"), logisticModel([1, 1], 0), matrixSignature(["x0", "x1"]));
  await writeModelFolder(join(folder, "alike"), logisticModel([1, 1], 0.001), matrixSignature(["x0", "x1"]));
  await writeModelFolder(join(folder, "wider"), logisticModel([1, 1, 1], 0), matrixSignature(["x0", "x1", "x2"]));
  const broken = await writeModelFolder(join(folder, "broken"), Buffer.from("no graph"), matrixSignature(["x0", "x1"]));
  await writeFile(join(broken, "note.txt"), "so that it is another content");
  const { client } = await startForTest(project);
  for (const which of ["first", "alike", "wider", "broken"]) {
    const { id } = await client.call("runs.create", { body: { pipeline: "train", params: { which } } });
    await runToEnd(client, id);
    expect((await client.call("runs.get", { params: { runId: id } })).run.error).toBeUndefined();
  }
  return { client, project };
}

/** Labels that a model nearly always gets right, for all that was captured and compacted so far. */
async function label(project: string): Promise<void> {
  const endpoint = join(project, ".espalier", "endpoints", "clicks");
  await mkdir(join(endpoint, "labels"), { recursive: true });
  const database = await (await loadEmbeddedParts()).openDuckDb({ threads: 1 });
  await database.run(
    `COPY (SELECT prediction_id, CAST(score > 0.9 AS DOUBLE) AS label, now()::TIMESTAMP AS arrived_at
     FROM read_parquet('${endpoint}/capture/parquet/*.parquet')) TO '${endpoint}/labels/one.parquet' (FORMAT parquet)`,
  );
  await database.close();
}

const params = { name: "clicks" };

test("strategies: what is tried, compared, kept, taken back and told", async () => {
  const { client, project } = await started();
  const deploy = (version: number, body: object = {}) =>
    client.call("endpoints.deploy", {
      params,
      body: { model: "clicks", version: String(version), gate: "none", ...body },
    });
  const ask = async (url: string | undefined, count: number) => {
    for (let request = 0; request < count; request++) {
      const response = await fetch(`${url}/invocations`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ dataframe_split: { columns: ["x0", "x1"], data: [[request % 5, 1]] } }),
      });
      expect([response.status, await response.text()]).toMatchObject([200, expect.any(String)]);
    }
  };
  const rollouts = async () => (await client.call("endpoints.rollouts", { params })).items;
  const look = async () => {
    const [newest] = await rollouts();
    return client.call("rollouts.advance", { params: { rolloutId: newest?.id ?? "" } });
  };
  const served = async () =>
    (await client.call("endpoints.get", { params })).versions.map(({ version, weight }) => [version, weight]);

  // What does not exist, and a first version that can not be served, leave no endpoint behind.
  const unknown = client.call("endpoints.deploy", { params, body: { model: "klicks", version: "1" } });
  await expect(unknown).rejects.toMatchObject({
    code: "NOT_FOUND",
    message: "There is no model klicks",
    hint: "Did you mean `clicks`?",
  });
  await expect(deploy(9)).rejects.toMatchObject({ message: "There is no version 9 of the model clicks" });
  await expect(deploy(1, { strategy: "shadow" })).rejects.toMatchObject({ code: "INVALID_INPUT", at: "strategy" });
  await expect(deploy(4)).rejects.toMatchObject({ code: "INVALID_DATA" });
  expect((await client.call("endpoints.list", {})).items).toEqual([]);
  expect((await client.call("endpoints.history", { params })).items[0]).toMatchObject({
    versions: [],
    reason: expect.stringContaining("could not be served"),
  });

  // A shadow is compared, and leaves.
  const { endpoint } = await deploy(1);
  await deploy(2, { strategy: "shadow", rollout: { minimum_requests: 20 } });
  expect(await served()).toEqual([
    ["1", 1],
    ["2", 0],
  ]);
  await ask(endpoint.url, 20);
  const compared = await until("20 answers are compared", async () => {
    const { versions } = await client.call("endpoints.get", { params });
    return versions[1]?.shadow?.compared === 20 ? versions[1] : undefined;
  });
  expect(compared).toMatchObject({ mirror: 1, requests: 0, shadow: { agreed: 20 } });
  expect(await look()).toMatchObject({
    state: "succeeded",
    weight: 0,
    reason: expect.stringContaining("100 % of 20 predictions agree"),
  });
  expect(await served()).toEqual([["1", 1]]);

  // Blue-green tries captured rows first: a version that wants another column gets no traffic.
  await expect(deploy(3, { strategy: "blue-green" })).rejects.toMatchObject({
    code: "UNAVAILABLE",
    message: expect.stringContaining("tried on version 3: it answers 400"),
  });
  expect(await served()).toEqual([["1", 1]]);
  await ask(endpoint.url, 120);
  const metric = { name: "auc", margin: 0.1, minimum_labels: 100 };
  await deploy(2, { strategy: "blue-green", rollout: { minimum_requests: 120, shift_limit: 0.2, metric } });
  expect(await served()).toEqual([
    ["1", 0],
    ["2", 1],
  ]);
  await ask(endpoint.url, 120);
  expect(await look()).toMatchObject({ state: "running", reason: expect.stringContaining("100 are needed") });
  await label(project);
  const done = await look();
  expect(done).toMatchObject({ state: "succeeded", weight: 1, startedBy: expect.any(String) });
  expect(done.steps.map(({ checks }) => checks.map(({ name, outcome }) => [name, outcome]))).toEqual([
    [["smoke", "pass"]],
    [
      ["errors", "pass"],
      ["latency", "unknown"],
      ["shift", "pass"],
      ["metric", "pass"],
    ],
  ]);
  expect((await client.call("endpoints.get", { params })).versions).toMatchObject([
    { version: "1", weight: 0, keepUntil: expect.any(Number) },
    { version: "2", weight: 1 },
  ]);
  expect((await client.call("models.show", { params })).aliases).toMatchObject({ champion: 2 });

  // A step at a time, its shares as they are given; a rollback ends it.
  await deploy(1, { strategy: "canary", rollout: { steps: [0.25] } });
  expect(await served()).toEqual([
    ["2", 0.75],
    ["1", 0.25],
  ]);
  await client.call("endpoints.rollback", { params, body: { reason: "a look by hand" } });
  expect(await served()).toEqual([
    ["1", 0],
    ["2", 1],
  ]);
  expect((await rollouts())[0]).toMatchObject({ state: "rolled_back", reason: "a look by hand" });
  // What is kept is let go when its time is over.
  await deploy(1, { rollout: { keep_seconds: 1 } });
  await until("the old version is let go", async () => (await served()).length === 1 || undefined);
  expect(await served()).toEqual([["1", 1]]);
  await client.call("endpoints.delete", { params });
  const history = (await client.call("endpoints.history", { params })).items;
  expect(history[0]).toMatchObject({ versions: [], reason: "deleted" });
  expect(history.map(({ reason }) => reason).join("\n")).toContain("a look by hand");
});
