import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { logisticModel, matrixSignature, writeModelFolder } from "@espalier/conformance";
import { expect, test } from "vitest";
import { makeProject, runToEnd, startForTest } from "../testing/control-plane.ts";

/** The registry through MLflow's face and ours, with real content, real steps and real endpoints. */

const mlmodel = `flavors:
  onnx: { data: model.onnx, onnx_version: 1.19.0 }
  python_function: { loader_module: mlflow.onnx, data: model.onnx }
signature:
  inputs: '[{"type": "float", "name": "x0", "required": true}, {"type": "float", "name": "x1", "required": true}]'
`;
const pickled = "flavors:\n  python_function: { loader_module: mlflow.sklearn, model_path: model.pkl }\n";
const invocation = { dataframe_split: { columns: ["x0", "x1"], data: [[1, 1]] } };

async function start(files: Readonly<Record<string, string>> = {}) {
  const project = await makeProject(files);
  const plane = await startForTest(project);
  const send = (path: string, init: RequestInit): Promise<Response> => fetch(`${plane.url}/api/2.0/${path}`, init);
  const call = async (method: string, path: string, body?: unknown) => {
    const headers = { "content-type": "application/json" };
    const answer = await send(`mlflow/${path}`, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
    // biome-ignore lint/suspicious/noExplicitAny: a test reads what it expects, and fails where it is not there.
    return { status: answer.status, body: (await answer.json()) as any };
  };
  return {
    ...plane,
    project,
    call,
    run: async (): Promise<string> =>
      (await call("POST", "runs/create", { experiment_id: "0", start_time: 1 })).body.run.info.run_id,
    /** Logs files of a model to a run, as the client does. */
    log: async (folder: string, contents: Readonly<Record<string, Uint8Array | string>>) => {
      for (const [name, body] of Object.entries(contents)) {
        const sent = await send(`mlflow-artifacts/artifacts/${folder}/${name}`, {
          method: "PUT",
          body: Buffer.from(body),
        });
        expect(sent.status).toBe(200);
      }
    },
    versionOf: async (name: string, runId: string) => {
      await call("POST", "registered-models/create", { name });
      return call("POST", "model-versions/create", { name, source: `runs:/${runId}/model`, run_id: runId });
    },
  };
}

test("a version that a client logged is served once somebody answers for it, and stays what it was", async () => {
  const { client, call, run, log, versionOf } = await start();
  const runId = await run();
  const folder = `0/${runId}/artifacts/model`;
  await log(folder, { MLmodel: mlmodel, "model.onnx": logisticModel([1, 1], -2) });
  expect((await versionOf("Clicks (new)", runId)).status).toBe(200);
  const uri = async (version = "1"): Promise<string> => {
    const place = new URLSearchParams({ name: "Clicks (new)", version });
    return (await call("GET", `model-versions/get-download-uri?${place}`)).body.artifact_uri;
  };
  const before = await uri();
  expect(before).toMatch(/^mlflow-artifacts:\/espalier\/[0-9a-f]{64}$/);
  // What happens to the run's files afterwards is no matter of the version's.
  await log(folder, { "model.onnx": logisticModel([1, 1], 5) });
  expect(await uri()).toBe(before);

  const params = { name: "clicks" };
  const body = { model: "Clicks (new)", version: "1" };
  await expect(client.call("endpoints.deploy", { params, body })).rejects.toMatchObject({ code: "UNGATED" });
  const deployed = await client.call("endpoints.deploy", { params, body: { ...body, gate: "none" } });
  expect(deployed.endpoint).toMatchObject({ state: "ready", versions: [{ model: "Clicks (new)", version: "1" }] });
  const predicted = await client.call("endpoints.predict", { params, body: invocation });
  expect(predicted).toMatchObject({ predictions: [expect.anything()] });

  for (const [method, path, fields] of [
    ["DELETE", "model-versions/delete", { name: "Clicks (new)", version: "1" }],
    ["DELETE", "registered-models/delete", { name: "Clicks (new)" }],
    ["POST", "registered-models/rename", { name: "Clicks (new)", new_name: "other" }],
  ] as const) {
    const refused = await call(method, path, fields);
    expect([refused.status, refused.body.error_code]).toEqual([409, "RESOURCE_CONFLICT"]);
    expect(refused.body.message).toContain("the endpoint clicks serves it");
  }
  expect((await versionOf("Clicks (new)", runId)).body.model_version.version).toBe("2");
  expect(await uri("2")).not.toBe(before);
  expect((await call("DELETE", "model-versions/delete", { name: "Clicks (new)", version: "2" })).status).toBe(200);
  await client.call("endpoints.delete", { params });
  expect((await call("DELETE", "registered-models/delete", { name: "Clicks (new)" })).status).toBe(200);
});

test("a version registered before its files is filled in when it is served; a pickle that is none is told", async () => {
  const { client, run, log, versionOf } = await start();
  const [late, pickle] = [await run(), await run()];
  await versionOf("late", late);
  const params = { name: "late" };
  const body = { model: "late", version: "1", gate: "none" } as const;
  await expect(client.call("endpoints.deploy", { params, body })).rejects.toMatchObject({ code: "NOT_FOUND" });
  expect((await client.call("models.version", { params: { name: "late", version: "1" } })).artifact).toBeUndefined();
  await log(`0/${late}/artifacts/model`, { MLmodel: mlmodel, "model.onnx": logisticModel([1, 1], -2) });
  expect((await client.call("endpoints.deploy", { params, body })).endpoint.state).toBe("ready");
  const filled = await client.call("models.version", { params: { name: "late", version: "1" } });
  expect(filled).toMatchObject({ artifact: { type: "model" }, gate: "none" });

  await log(`0/${pickle}/artifacts/model`, { MLmodel: pickled, "model.pkl": "\x80\x04." });
  await versionOf("pickle", pickle);
  const pickleBody = { ...body, model: "pickle" };
  await expect(client.call("endpoints.deploy", { params: { name: "p" }, body: pickleBody })).rejects.toMatchObject({
    code: "INVALID_DATA",
    message: expect.stringContaining("pickle"),
  });
  await client.call("endpoints.delete", { params });
});

const scoped = `
const api = process.env.MLFLOW_TRACKING_URI + "/api/2.0/mlflow/";
const headers = { "content-type": "application/json", authorization: "Bearer " + process.env.MLFLOW_TRACKING_TOKEN };
const call = async (method, path, body) => {
  const answer = await fetch(api + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
  return [answer.status, await answer.json()];
};
const [, { run }] = await call("GET", "runs/get?run_id=" + process.env.MLFLOW_RUN_ID);
const source = "runs:/" + process.env.MLFLOW_RUN_ID + "/model";
const said = [];
for (const [method, path, body] of [
  ["POST", "registered-models/create", { name: "ours" }],
  ["POST", "model-versions/create", { name: "ours", source }],
  ["POST", "model-versions/create", { name: "ours", source: "runs:/" + process.argv[2] + "/model" }],
  ["POST", "model-versions/set-tag", { name: "ours", version: "1", key: "k", value: "v" }],
  ["POST", "registered-models/alias", { name: "ours", alias: "challenger", version: "1" }],
  ["POST", "registered-models/alias", { name: "ours", alias: "champion", version: "1" }],
  ["DELETE", "registered-models/alias", { name: "clicks", alias: "champion" }],
  ["GET", "model-versions/get?name=clicks&version=1"],
  ["GET", "registered-models/search"],
  ["POST", "registered-models/rename", { name: "ours", new_name: "theirs" }],
  ["DELETE", "model-versions/delete", { name: "ours", version: "1" }],
  ["DELETE", "registered-models/delete", { name: "ours" }],
  ["POST", "webhooks", { name: "w", url: "https://8.8.8.8/", events: [{ entity: "PROMPT", action: "CREATED" }] }],
]) said.push([method + " " + path, (await call(method, path, body))[0]]);
console.log(JSON.stringify({ experiment: run.info.experiment_id !== "0", said }));
`;

const pipeline = `
name: train
steps:
  train:
    run: cp -r \${{ inputs.models }}/first \${{ outputs.model }}
    inputs: { models: ./models }
    outputs: { model: model }
  register:
    uses: register
    gate: none
    inputs: { model: train.model }
    with: { name: clicks, alias: champion }
  try:
    run: NODE \${{ inputs.script }} OTHER > \${{ outputs.said }}
    needs: [register]
    inputs: { script: ./scoped.mjs }
    outputs: { said: file }
`;

test("clients see what a pipeline registered; a step makes versions, and moves no champion", async () => {
  const { client, call, run, project } = await start({ "scoped.mjs": scoped });
  await mkdir(join(project, "models"), { recursive: true });
  await writeModelFolder(join(project, "models/first"), logisticModel([1, 1], -2), matrixSignature(["x0", "x1"]));
  await mkdir(join(project, "pipelines"), { recursive: true });
  const text = pipeline.replace("NODE", process.execPath).replace("OTHER", await run());
  await writeFile(join(project, "pipelines/train.yaml"), text);
  const { id } = await client.call("runs.create", { body: { pipeline: "train" } });
  await runToEnd(client, id);
  const { steps, run: ended } = await client.call("runs.get", { params: { runId: id } });
  expect(ended.error).toBeUndefined();

  const champion = (await call("GET", "registered-models/alias?name=clicks&alias=champion")).body.model_version;
  expect(champion).toMatchObject({ version: "1", tags: [{ key: "espalier.gate", value: "none" }] });
  expect(champion.source).toMatch(/^mlflow-artifacts:\/espalier\/[0-9a-f]{64}$/);
  const download = (await call("GET", "model-versions/get-download-uri?name=clicks&version=1")).body.artifact_uri;
  expect(download).toBe(champion.source);
  await call("POST", "registered-models/create", { name: "copy" });
  const copied = await call("POST", "model-versions/create", { name: "copy", source: "models:/clicks@champion" });
  expect(copied.body.model_version).toMatchObject({ source: "models:/clicks/1" });
  const same = await call("GET", "model-versions/get-download-uri?name=copy&version=1");
  expect(same.body.artifact_uri).toBe(download);

  const said = steps.find((step) => step.step === "try")?.outputs?.["said"];
  const bytes = await client.bytes("artifacts.download", {
    params: { digest: said?.digest ?? "" },
    query: { type: "file" },
  });
  expect(JSON.parse(await new Response(bytes).text())).toEqual({
    experiment: true,
    said: [
      ["POST registered-models/create", 200],
      ["POST model-versions/create", 200],
      // Another experiment's run is none of the step's.
      ["POST model-versions/create", 403],
      ["POST model-versions/set-tag", 200],
      ["POST registered-models/alias", 200],
      ["POST registered-models/alias", 403],
      ["DELETE registered-models/alias", 403],
      ["GET model-versions/get?name=clicks&version=1", 200],
      ["GET registered-models/search", 200],
      ["POST registered-models/rename", 403],
      ["DELETE model-versions/delete", 403],
      ["DELETE registered-models/delete", 403],
      ["POST webhooks", 403],
    ],
  });
});
