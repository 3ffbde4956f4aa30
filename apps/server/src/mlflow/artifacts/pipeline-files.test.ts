import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { logisticModel, matrixSignature, writeModelFolder } from "@espalier/conformance";
import { expect, test } from "vitest";
import { makeProject, runToEnd, startForTest } from "../../testing/control-plane.ts";
import { wire } from "./testing/wire.ts";

const proxy = "/api/2.0/mlflow-artifacts/artifacts";
const json = { "content-type": "application/json" };

/** A step's script: what its token may read and write of files. */
const script = `
import { writeFileSync } from "node:fs";
const [, , other, digest, said] = process.argv;
const api = process.env.MLFLOW_TRACKING_URI + "/api/2.0/";
const headers = { authorization: "Bearer " + process.env.MLFLOW_TRACKING_TOKEN };
const run = process.env.MLFLOW_RUN_ID;
const experiment = (await (await fetch(api + "mlflow/runs/get?run_id=" + run, { headers })).json()).run.info.experiment_id;
const own = experiment + "/" + run + "/artifacts";
const answers = [];
for (const [method, path] of [
  ["PUT", "artifacts/" + own + "/outputs/mine.txt"],
  ["PUT", "artifacts/" + own + "/outputs/shadow"],
  ["GET", "artifacts/" + own + "/outputs/mine.txt"],
  ["GET", "artifacts?path=" + experiment],
  ["GET", "artifacts?path=" + own],
  ["PUT", "artifacts/0/" + other + "/artifacts/a"],
  ["GET", "artifacts/0/" + other + "/artifacts/secret"],
  ["DELETE", "artifacts/0/" + other + "/artifacts/secret"],
  ["GET", "artifacts?path="],
  ["GET", "artifacts?path=0"],
  ["GET", "presigned/0/" + other + "/artifacts/secret"],
  ["POST", "mpu/create/0/" + other + "/artifacts"],
  ["GET", "artifacts/espalier/" + digest + "/MLmodel"],
]) {
  const answer = await fetch(api + "mlflow-artifacts/" + path, {
    method,
    headers: { ...headers, ...(method === "POST" ? { "content-type": "application/json" } : {}) },
    ...(method === "GET" ? {} : { body: method === "POST" ? JSON.stringify({ path: "x", num_parts: 1 }) : "logged" }),
  });
  answers.push(answer.status);
}
writeFileSync(said, JSON.stringify(answers));
`;

const pipeline = (name: string, node: string, more: string): string => `
name: ${name}
steps:
  train:
    run: cp -r \${{ inputs.model }} \${{ outputs.model }} && echo numbers > \${{ outputs.shadow }}
    inputs: { model: ./model }
    outputs: { model: model, shadow: file }
  register:
    uses: register
    gate: none
    inputs: { model: train.model }
    with: { name: clicks, alias: champion }
${more.replaceAll("NODE", node)}`;

const trying = `
  try:
    run: NODE \${{ inputs.script }} OTHER DIGEST \${{ outputs.shadow }}
    inputs: { script: ./try.mjs }
    outputs: { shadow: file }
`;

test("steps reach the files of their experiment; what they publish is shown by run, and models by digest", async () => {
  const project = await makeProject({ "try.mjs": script });
  await mkdir(join(project, "pipelines"));
  await writeModelFolder(join(project, "model"), logisticModel([1, 1], -2), matrixSignature(["x0", "x1"]));
  const { url, client } = await startForTest(project);
  const runPipeline = async (text: string): Promise<string> => {
    await writeFile(join(project, "pipelines/train.yaml"), text);
    const { id } = await client.call("runs.create", { body: { pipeline: "train" } });
    await runToEnd(client, id);
    expect((await client.call("runs.get", { params: { runId: id } })).run).toMatchObject({ state: "succeeded" });
    return id;
  };
  const get = async (path: string) => wire(url, "GET", path);
  const names = async (path: string): Promise<unknown> =>
    ((await get(`${proxy}?path=${encodeURIComponent(path)}`)).json().files ?? []).map(
      (file: { path: string; is_dir: boolean }) => (file.is_dir ? `${file.path}/` : file.path),
    );
  const made = await wire(url, "POST", "/api/2.0/mlflow/runs/create", JSON.stringify({ experiment_id: "0" }), json);
  const other = made.json().run.info.run_id;
  await wire(url, "PUT", `${proxy}/0/${other}/artifacts/secret`, "secret");

  await runPipeline(pipeline("train", process.execPath, ""));
  const { artifact } = await client.call("models.version", { params: { name: "clicks", version: "1" } });
  const digest = artifact?.digest.slice("sha256:".length) ?? "";
  const text = pipeline("train", process.execPath, trying).replace("OTHER", other).replace("DIGEST", digest);
  const runId = await runPipeline(text);

  const search = await wire(
    url,
    "POST",
    "/api/2.0/mlflow/runs/search",
    JSON.stringify({ experiment_ids: ["1"] }),
    json,
  );
  const runs: { info: { run_id: string; artifact_uri: string } }[] = search.json().runs;
  const rootOf = (id: string): string =>
    (runs.find((run) => run.info.run_id === id)?.info.artifact_uri ?? "").slice("mlflow-artifacts:/".length);
  const { steps, attempts } = await client.call("runs.get", { params: { runId } });
  const attempt = attempts.find((one) => one.step === "try")?.id ?? "";
  const pipelineRoot = rootOf(runId);
  const attemptRoot = rootOf(attempt);

  expect(JSON.parse((await get(`${proxy}/${pipelineRoot}/outputs/try/shadow`)).body.toString())).toEqual([
    200, 200, 200, 200, 200, 403, 403, 403, 403, 403, 403, 403, 200,
  ]);
  expect(await names(pipelineRoot)).toEqual(["outputs/"]);
  expect(await names(`${pipelineRoot}/outputs`)).toEqual(["register/", "train/", "try/"]);
  expect(await names(`${pipelineRoot}/outputs/train`)).toEqual(["model/", "shadow"]);
  expect(await names(`${pipelineRoot}/outputs/train/model`)).toEqual(["model.onnx", "signature.json"]);
  expect(await names(`${pipelineRoot}/outputs/train/model/nowhere`)).toEqual([]);
  expect((await get(`${proxy}/${pipelineRoot}/outputs/train/shadow`)).body.toString()).toBe("numbers\n");
  expect((await get(`${proxy}/${pipelineRoot}/outputs/train/nothing`)).status).toBe(404);
  expect((await get(`${proxy}/${pipelineRoot}/outputs/train`)).status).toBe(404);
  expect((await get(`${proxy}/${pipelineRoot}/outputs/train/constructor`)).status).toBe(404);

  // Beside what the script logged, which hides what has the same name.
  expect(await names(attemptRoot)).toEqual(["outputs/"]);
  expect(await names(`${attemptRoot}/outputs`)).toEqual(["mine.txt", "shadow"]);
  expect((await get(`${proxy}/${attemptRoot}/outputs/shadow`)).body.toString()).toBe("logged");
  const listed = await get(`/api/2.0/mlflow/artifacts/list?run_id=${attempt}&path=outputs`);
  expect(listed.json().files.map((file: { path: string }) => file.path)).toEqual([
    "outputs/mine.txt",
    "outputs/shadow",
  ]);
  const one = await get(`/get-artifact?run_uuid=${runId}&path=outputs/train/shadow`);
  expect([one.status, one.body.toString()]).toEqual([200, "numbers\n"]);

  const model = `espalier/${digest}`;
  expect(await names(model)).toEqual([
    "MLmodel",
    "code/",
    "python_env.yaml",
    "requirements.txt",
    "model.onnx",
    "signature.json",
  ]);
  expect(await names(`${model}/code`)).toEqual(["espalier_onnx.py"]);
  expect(await names("espalier")).toEqual([]);
  const mlmodel = (await get(`${proxy}/${model}/MLmodel`)).body.toString();
  expect(mlmodel).toContain('loader_module: "espalier_onnx"');
  const byVersion = await get("/model-versions/get-artifact?name=clicks&version=1&path=MLmodel");
  expect(byVersion.body.toString()).toBe(mlmodel);
  const graph = await wire(url, "GET", `${proxy}/${model}/model.onnx`, undefined, { range: "bytes=1-3" });
  expect(graph.body.equals(logisticModel([1, 1], -2).subarray(1, 4))).toBe(true);
  // A digest opens nothing but models: neither this run's other outputs nor a list of a tree.
  const shadow = steps.find((step) => step.step === "train")?.outputs?.["shadow"]?.digest.slice("sha256:".length);
  expect((await get(`${proxy}/espalier/${shadow}`)).status).toBe(404);
  expect(await names(`espalier/${shadow}`)).toEqual([]);
});
