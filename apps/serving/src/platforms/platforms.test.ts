import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { logisticModel, matrixSignature, writeModelFolder } from "@espalier/conformance";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { listen } from "../http/listen.ts";
import { temporaryFolder } from "../testing/running-server.ts";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));

/** The rules of each cloud for containers, kept by the real program with that cloud's environment and the argument `serve`. */
describe("containers", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let model: string;
  let child: ChildProcess;
  let errors = "";

  beforeEach(async () => {
    folder = await temporaryFolder();
    model = await write(0, "model");
  });
  afterEach(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "close");
    }
    await folder.remove();
  });

  const write = (bias: number, ...parts: string[]) =>
    writeModelFolder(join(folder.path, ...parts), logisticModel([1], bias), matrixSignature(["x"]));

  async function freePort(): Promise<number> {
    const server = createServer();
    const port = await listen(server, "127.0.0.1", 0);
    await new Promise((resolve) => server.close(resolve));
    return port;
  }

  function start(environment: Record<string, string>, ...argv: string[]): void {
    errors = "";
    child = spawn(process.execPath, [main, "serve", "--drain-seconds", "0", ...argv], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { PATH: process.env.PATH, ...environment },
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      errors += chunk.toString();
    });
  }

  /** Asks until the health route says 200, as a platform does; only a test that fails reaches the end. */
  async function healthy(url: string): Promise<void> {
    for (let tries = 0; tries < 600; tries++) {
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${errors}`);
      const status = await fetch(url).then(
        (response) => response.status,
        () => undefined,
      );
      if (status === 200) return;
      await delay(25);
    }
    throw new Error(`${url} did not become healthy`);
  }

  async function ask(url: string, init: RequestInit & { json?: unknown } = {}) {
    const { json, ...rest } = init;
    const response = await fetch(url, {
      ...rest,
      ...(json === undefined ? {} : { method: "POST", body: JSON.stringify(json) }),
      headers: { "content-type": "application/json", ...(rest.headers as Record<string, string>) },
    });
    return { status: response.status, headers: response.headers, body: JSON.parse(await response.text()) };
  }

  async function stopped(): Promise<number> {
    child.kill("SIGTERM");
    return (await once(child, "close"))[0];
  }

  it("SageMaker: /ping and /invocations on its port; SIGTERM ends it with 0", async () => {
    const port = await freePort();
    start({ SAGEMAKER_BIND_TO_PORT: String(port), ESPALIER_MODEL_DIR: model });
    const url = `http://127.0.0.1:${port}`;
    await healthy(`${url}/ping`);
    expect((await ask(`${url}/invocations`, { json: { instances: [[0]] } })).body).toEqual({ predictions: [0.5] });
    const csv = await ask(`${url}/invocations`, {
      method: "POST",
      body: "x\n0\n0\n",
      headers: { "content-type": "text/csv" },
    });
    expect(csv.body).toEqual({ predictions: [0.5, 0.5] });
    expect((await ask(`${url}/execution-parameters`)).body).toEqual({
      MaxConcurrentTransforms: 4,
      BatchStrategy: "MULTI_RECORD",
      MaxPayloadInMB: 16,
    });
    expect((await fetch(`${url}/models`, { method: "POST", body: "{}" })).status).toBe(404);
    expect(await stopped()).toBe(0);
  });

  it("SageMaker, several models: load, list, invoke, unload; 409, 404, 507", async () => {
    const port = await freePort();
    start({ SAGEMAKER_BIND_TO_PORT: String(port), SAGEMAKER_MULTI_MODEL: "true" }, "--max-models", "2");
    const url = `http://127.0.0.1:${port}`;
    await healthy(`${url}/ping`);
    expect((await ask(`${url}/models`)).body).toEqual({ models: [] });
    const add = async (name: string, bias: number) => {
      const path = await write(bias, "models", name, "model");
      return ask(`${url}/models`, { json: { model_name: name, url: path } });
    };
    const one = await add("one", 0);
    expect([one.status, one.body]).toEqual([
      200,
      { modelName: "one", modelUrl: join(folder.path, "models", "one", "model") },
    ]);
    expect((await add("two", 1)).status).toBe(200);
    expect((await add("two", 1)).status).toBe(409);
    expect((await add("three", 2)).status).toBe(507);
    expect((await fetch(`${url}/version`)).status).toBe(200);
    const absent = await ask(`${url}/models`, { json: { model_name: "four", url: join(folder.path, "none") } });
    expect(absent.status).toBe(404);
    const invoke = async (name: string) =>
      (await ask(`${url}/models/${name}/invoke`, { json: { instances: [[0]] } })).body;
    expect((await invoke("two")).predictions[0]).toBeCloseTo(0.731, 3);
    expect(await invoke("three")).toMatchObject({ error_code: "RESOURCE_DOES_NOT_EXIST" });
    expect((await ask(`${url}/models/one`)).body.modelName).toBe("one");
    expect((await ask(`${url}/models/one`, { method: "DELETE" })).status).toBe(200);
    for (const [path, method] of [
      ["/models/one", "GET"],
      ["/models/one", "DELETE"],
    ] as const) {
      expect((await ask(url + path, { method })).status, method).toBe(404);
    }
    expect((await add("three", 2)).status).toBe(200);
    expect((await ask(`${url}/models`)).body.models.map(({ modelName }: { modelName: string }) => modelName)).toEqual([
      "two",
      "three",
    ]);
    const broken = await mkdir(join(folder.path, "empty"), { recursive: true });
    await ask(`${url}/models/two`, { method: "DELETE" });
    const refused = await ask(`${url}/models`, { json: { model_name: "empty", url: broken } });
    expect([refused.status, refused.body.message]).toEqual([404, expect.stringContaining("There is no model")]);
    expect((await add("two", 1)).status).toBe(200);
  });

  it("Vertex AI: its own routes and port; a model in a bucket needs its folder", async () => {
    const port = await freePort();
    const routes = {
      AIP_HTTP_PORT: String(port),
      AIP_MODE: "PREDICTION",
      AIP_HEALTH_ROUTE: "/v1/endpoints/17/deployedModels/4",
      AIP_PREDICT_ROUTE: "/v1/endpoints/17/deployedModels/4:predict",
    };
    const environment = { ...routes, AIP_STORAGE_URI: "gs://bucket/model" };
    start(environment);
    expect((await once(child, "close"))[0]).toBe(3);
    expect(errors).toContain("AIP_STORAGE_URI is gs://bucket/model, and this server has no client to download it");
    expect(errors).toContain("--model-dir or ESPALIER_MODEL_DIR");

    start(environment, "--model-dir", model);
    const url = `http://127.0.0.1:${port}`;
    await healthy(url + routes.AIP_HEALTH_ROUTE);
    const answer = await ask(url + routes.AIP_PREDICT_ROUTE, { json: { instances: [[0], [0]], parameters: {} } });
    expect(answer.body).toEqual({ predictions: [0.5, 0.5] });
    const refused = await ask(url + routes.AIP_PREDICT_ROUTE, { json: { instances: [["x"]] } });
    expect([refused.status, refused.body.error]).toEqual([400, expect.stringContaining('column "x", row 0')]);
    expect(await stopped()).toBe(0);

    start({ ...routes, AIP_STORAGE_URI: `file://${model}` });
    await healthy(url + routes.AIP_HEALTH_ROUTE);
  });

  it("Azure ML: /score, its headers, and a model one folder below", async () => {
    const port = await freePort();
    await write(1, "azure", "my-model");
    start({ AZUREML_MODEL_DIR: join(folder.path, "azure"), PORT: String(port) });
    const url = `http://127.0.0.1:${port}`;
    await healthy(`${url}/`);
    const headers = { "x-request-id": "request 1", "x-ms-client-request-id": "client-1" };
    const answer = await ask(`${url}/score`, { json: { instances: [[0]] }, headers });
    expect(answer.body.predictions[0]).toBeCloseTo(0.731, 3);
    for (const [name, value] of Object.entries(headers)) expect(answer.headers.get(name)).toBe(value);
    for (const name of Object.keys(headers)) {
      const long = await ask(`${url}/score`, { json: { instances: [[0]] }, headers: { [name]: "x".repeat(101) } });
      expect([long.status, long.body.message], name).toEqual([431, expect.stringContaining("may have 100")]);
    }
    expect(
      (await ask(`${url}/score`, { json: { instances: [[0]] }, headers: { "x-request-id": "x".repeat(100) } })).status,
    ).toBe(200);
  });

  it("KServe: V1 and V2 by the model's name, with both health routes", async () => {
    const port = await freePort();
    start({ PORT: String(port), ESPALIER_MODEL_NAME: "flights", ESPALIER_MODEL_VERSION: "7" }, "--model-dir", model);
    const url = `http://127.0.0.1:${port}`;
    await healthy(`${url}/v2/health/ready`);
    expect((await ask(`${url}/v2/health/live`)).body).toEqual({ live: true });
    expect((await ask(`${url}/v1/models/flights`)).body).toEqual({ name: "flights", ready: true });
    expect((await ask(`${url}/v2/models/flights/ready`)).status).toBe(200);
    expect((await ask(`${url}/v1/models/flights:predict`, { json: { instances: [[0]] } })).body).toEqual({
      predictions: [0.5],
    });
    const infer = { inputs: [{ name: "x", shape: [1, 1], datatype: "FP32", data: [0] }] };
    expect((await ask(`${url}/v2/models/flights/versions/7/infer`, { json: infer })).body.outputs[0].data).toEqual([
      0.5,
    ]);
    const explained = await ask(`${url}/v1/models/flights:explain`, { json: { instances: [[0]] } });
    expect([explained.status, explained.body.error]).toEqual([501, expect.stringContaining("can not explain")]);
  });

  it("says what is wrong with what a platform gave it", async () => {
    start({ AIP_PREDICT_ROUTE: "predict me", ESPALIER_MODEL_DIR: model });
    expect((await once(child, "close"))[0]).toBe(2);
    expect(errors).toContain("AIP_PREDICT_ROUTE is no path");
    start({ AZUREML_MODEL_DIR: join(folder.path, "none"), PORT: "0" });
    expect((await once(child, "close"))[0]).toBe(6);
    expect(errors).toContain("NOT_FOUND");
    start({ ESPALIER_MODEL_DIR: model }, "--allow-model-control");
    expect((await once(child, "close"))[0]).toBe(2);
    expect(errors).toContain("listens on 0.0.0.0");
  });
});
