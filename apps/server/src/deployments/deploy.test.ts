import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { logisticModel, matrixSignature, writeModelFolder } from "@espalier/conformance";
import { expect, test } from "vitest";
import { makeProject, runToEnd, startForTest } from "../testing/control-plane.ts";

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
    with: { name: clicks, alias: challenger }
  package:
    uses: package
    inputs: { model: register.version }
  deploy:
    uses: deploy
    gate: none
    inputs: { model: register.version }
    with: { endpoint: clicks, strategy: canary }
`;

async function projectWithModels(): Promise<string> {
  const project = await makeProject({ "pipelines/train.yaml": pipeline });
  for (const [name, bias] of [
    ["first", -2],
    ["second", 2],
  ] as const) {
    await mkdir(join(project, "models"), { recursive: true });
    await writeModelFolder(join(project, "models", name), logisticModel([1, 1], bias), matrixSignature(["x0", "x1"]));
  }
  return project;
}

const invocation = { dataframe_split: { columns: ["x0", "x1"], data: [[1, 1]] } };

test("a version is registered, packaged, served, replaced by a canary that traffic carries, and rolled back", async () => {
  const { client } = await startForTest(await projectWithModels());
  const run = async (which: string) => {
    const { id } = await client.call("runs.create", { body: { pipeline: "train", params: { which } } });
    await runToEnd(client, id);
    const detail = await client.call("runs.get", { params: { runId: id } });
    expect(detail.run.error).toBeUndefined();
    return Object.fromEntries(detail.steps.map((step) => [step.step, step]));
  };
  const first = await run("first");
  expect(first["register"]?.values?.["version"]).toMatchObject({ model: "clicks", version: 1, gate: "none" });
  expect(first["deploy"]?.state).toBe("succeeded");
  expect(first["package"]?.values?.["image"]).toMatchObject({ repository: "clicks", tag: "v1" });
  const params = { name: "clicks" };
  expect(await client.call("endpoints.get", { params })).toMatchObject({
    state: "ready",
    versions: [{ version: "1", weight: 1 }],
  });
  expect((await client.call("models.show", { params })).aliases).toEqual({ challenger: 1, champion: 1 });
  expect(await client.call("endpoints.predict", { params, body: invocation })).toMatchObject({
    predictions: [expect.anything()],
  });

  const again = await run("first");
  expect([again["train"]?.state, again["register"]?.state, again["deploy"]?.state]).toEqual([
    "cached",
    "cached",
    "unchanged",
  ]);

  await run("second");
  const canary = await client.call("endpoints.get", { params });
  expect(canary.versions.map((version) => [version.version, version.weight])).toEqual([
    ["1", 0.9],
    ["2", 0.1],
  ]);
  const [rollout] = (await client.call("endpoints.rollouts", { params })).items;
  expect(rollout).toMatchObject({ state: "running", toVersion: "2", fromVersion: "1", weight: 0.1 });
  for (const _share of [0.1, 0.5, 1]) {
    await sendRequests(canary.url ?? "", 1500);
    await client.call("rollouts.advance", { params: { rolloutId: rollout?.id ?? "" } });
  }
  expect((await client.call("endpoints.rollouts", { params })).items[0]).toMatchObject({
    state: "succeeded",
    weight: 1,
  });
  expect((await client.call("endpoints.get", { params })).versions).toMatchObject([{ version: "2", weight: 1 }]);
  expect((await client.call("models.show", { params })).aliases["champion"]).toBe(2);

  const back = await client.call("endpoints.rollback", { params });
  expect(back.endpoint.versions).toMatchObject([{ version: "1", weight: 1 }]);
  expect((await client.call("models.show", { params })).aliases["champion"]).toBe(1);
  const lineage = await client.call("lineage.get", { query: { id: "endpoint:clicks", direction: "up" } });
  expect(lineage.nodes.map((node) => node.id)).toContain("model:clicks@1");
  await client.call("endpoints.delete", { params });
  await expect(client.call("endpoints.get", { params })).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("a version that nobody judged is not deployed unless that is said", async () => {
  const { client } = await startForTest(await projectWithModels());
  const { id } = await client.call("runs.create", {
    body: { pipeline: "train", options: { only: ["register", "train"] } },
  });
  await runToEnd(client, id);
  const deploy = (gate?: "none") =>
    client.call("endpoints.deploy", {
      params: { name: "clicks" },
      body: { model: "clicks", version: "latest", ...(gate === undefined ? {} : { gate }) },
    });
  await expect(deploy()).rejects.toMatchObject({ code: "UNGATED" });
  expect((await deploy("none")).unchanged).toBe(false);
  expect((await deploy("none")).unchanged).toBe(true);
  await client.call("endpoints.delete", { params: { name: "clicks" } });
});

async function sendRequests(url: string, count: number): Promise<void> {
  let sent = 0;
  const worker = async (): Promise<void> => {
    while (sent < count) {
      sent += 1;
      const response = await fetch(`${url}/invocations`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(invocation),
      });
      expect(response.status).toBe(200);
      await response.arrayBuffer();
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}
