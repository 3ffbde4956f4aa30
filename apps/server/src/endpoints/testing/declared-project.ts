import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { AppliedEndpoint, Client, EndpointPlan } from "@espalier/contract";
import { expect } from "vitest";
import { makeProject, runToEnd } from "../../testing/control-plane.ts";
import { until } from "../../testing/until.ts";

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

export const champion = "model: models:/clicks@champion, gate: none";
const declaring = (endpoint: string): string =>
  `project: flights\nendpoints:\n${endpoint === "" ? "  {}" : `  clicks: { ${endpoint} }`}\n`;

/** A project whose pipeline registers one of three models, the last of which is no ONNX, and which declares the endpoint `clicks`. */
export async function projectWithModels(
  endpoint: string,
  /** Writes a model of the columns x0 and x1. */
  writeModel: (folder: string, bias: number) => Promise<unknown>,
): Promise<string> {
  const project = await makeProject({ "espalier.yaml": declaring(endpoint), "pipelines/train.yaml": pipeline });
  for (const [name, bias] of [
    ["first", -2],
    ["second", 2],
    ["broken", 0],
  ] as const) {
    await mkdir(join(project, "models"), { recursive: true });
    await writeModel(join(project, "models", name), bias);
  }
  await writeFile(join(project, "models/broken/model.onnx"), "no graph");
  return project;
}

export async function register(client: Client, which: "first" | "second" | "broken"): Promise<void> {
  const { id } = await client.call("runs.create", { body: { pipeline: "train", params: { which } } });
  await runToEnd(client, id);
  expect((await client.call("runs.get", { params: { runId: id } })).run.error).toBeUndefined();
}

export const params = { name: "clicks" };
export const promote = (client: Client, version: number) =>
  client.call("models.promote", { params: { name: "clicks", alias: "champion" }, body: { version } });
export const declare = (project: string, endpoint: string) =>
  writeFile(join(project, "espalier.yaml"), declaring(endpoint));

export async function apply(
  client: Client,
  body: { names?: string[]; prune?: boolean } = {},
): Promise<AppliedEndpoint | undefined> {
  return (await client.call("endpoints.apply", { body })).endpoints[0];
}

export async function plan(client: Client): Promise<EndpointPlan | undefined> {
  return (await client.call("plan.endpoints", {})).endpoints[0];
}

export const served = async (client: Client): Promise<string[]> =>
  (await client.call("endpoints.get", { params })).versions.filter((one) => one.weight > 0).map((one) => one.version);

export const serves = (client: Client, version: string): Promise<true> =>
  until(`version ${version} serves`, async () => (await served(client)).join() === version || undefined);
