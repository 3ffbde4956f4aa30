import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { logisticModel, matrixSignature, writeModelFolder } from "@espalier/conformance";
import type { AppliedEndpoint, Client } from "@espalier/contract";
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

const champion = "model: models:/clicks@champion, gate: none";
const declaring = (endpoint: string): string =>
  `project: flights\nendpoints:\n${endpoint === "" ? "  {}" : `  clicks: { ${endpoint} }`}\n`;

async function projectWithModels(endpoint: string): Promise<string> {
  const project = await makeProject({ "espalier.yaml": declaring(endpoint), "pipelines/train.yaml": pipeline });
  for (const [name, bias] of [
    ["first", -2],
    ["second", 2],
  ] as const) {
    await mkdir(join(project, "models"), { recursive: true });
    await writeModelFolder(join(project, "models", name), logisticModel([1, 1], bias), matrixSignature(["x0", "x1"]));
  }
  return project;
}

async function register(client: Client, which: "first" | "second"): Promise<void> {
  const { id } = await client.call("runs.create", { body: { pipeline: "train", params: { which } } });
  await runToEnd(client, id);
  expect((await client.call("runs.get", { params: { runId: id } })).run.error).toBeUndefined();
}

const params = { name: "clicks" };
const promote = (client: Client, version: number) =>
  client.call("models.promote", { params: { name: "clicks", alias: "champion" }, body: { version } });
const declare = (project: string, endpoint: string) => writeFile(join(project, "espalier.yaml"), declaring(endpoint));

async function apply(
  client: Client,
  body: { names?: string[]; prune?: boolean } = {},
): Promise<AppliedEndpoint | undefined> {
  return (await client.call("endpoints.apply", { body })).endpoints[0];
}

async function plan(client: Client) {
  return (await client.call("plan.endpoints", {})).endpoints[0];
}

const served = async (client: Client): Promise<string[]> =>
  (await client.call("endpoints.get", { params })).versions.filter((one) => one.weight > 0).map((one) => one.version);

const serves = (client: Client, version: string): Promise<true> =>
  until(`version ${version} serves`, async () => (await served(client)).join() === version || undefined);

test("an endpoint is what is declared: made, followed as its alias moves, changed without a new version, pruned", async () => {
  const project = await projectWithModels(champion);
  const { client } = await startForTest(project);

  // Nothing is there: neither model nor alias, and that is said in each case.
  expect(await plan(client)).toMatchObject({
    action: "create",
    problem: { code: "NOT_FOUND", at: "espalier.yaml:3:13" },
  });
  expect(await apply(client)).toMatchObject({ outcome: "failed", problem: { message: "There is no model clicks" } });
  await register(client, "first");
  expect(await plan(client)).toMatchObject({
    action: "wait",
    reason: expect.stringContaining("no alias champion yet"),
  });
  expect(await apply(client)).toMatchObject({ outcome: "waiting" });

  // The alias is set: the endpoint comes about without another word.
  await promote(client, 1);
  await until("the endpoint is made", () => client.call("endpoints.get", { params }).catch(() => undefined));
  await serves(client, "1");
  expect(await plan(client)).toMatchObject({ action: "none", changes: [] });
  expect(await apply(client)).toMatchObject({ outcome: "unchanged" });

  // Settings alone change no version.
  await declare(project, `${champion}, replicas: 2, capture: { rate: 0.5, redact: { x0: hash } }`);
  expect(await plan(client)).toMatchObject({
    action: "update",
    changes: [
      { field: "replicas", from: 1, to: 2 },
      { field: "capture.rate", from: 1, to: 0.5 },
      { field: "capture.redact", from: null, to: { hash: ["x0"] } },
    ],
  });
  const before = (await client.call("endpoints.rollouts", { params })).items.length;
  expect(await apply(client)).toMatchObject({ outcome: "done" });
  expect(await apply(client)).toMatchObject({ outcome: "unchanged" });
  expect((await client.call("endpoints.get", { params })).captureRate).toBe(0.5);
  expect((await client.call("endpoints.rollouts", { params })).items).toHaveLength(before);

  // The alias moves on.
  await register(client, "second");
  await promote(client, 2);
  await serves(client, "2");

  // A rollback by hand stays, until somebody applies.
  await client.call("endpoints.rollback", { params });
  expect(await served(client)).toEqual(["1"]);

  // A line less stops nothing.
  await declare(project, "");
  expect(await plan(client)).toMatchObject({ name: "clicks", action: "remove" });
  expect(await apply(client)).toMatchObject({ action: "remove", outcome: "left" });
  expect(await served(client)).toEqual(["1"]);
  expect(await apply(client, { prune: true })).toMatchObject({ action: "remove", outcome: "done" });
  await expect(client.call("endpoints.get", { params })).rejects.toMatchObject({ code: "NOT_FOUND" });
  expect(await plan(client)).toBeUndefined();
});
