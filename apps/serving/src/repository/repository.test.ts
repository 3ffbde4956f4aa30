import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { logisticModel, matrixSignature, slowModel, writeModelFolder } from "@espalier/conformance";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type RunningServer, runServer, temporaryFolder } from "../testing/running-server.ts";

describe("several models in one server", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let running: RunningServer;
  const at = (...parts: string[]) => join(folder.path, ...parts);
  /** sigmoid(bias) for a row of zeros. */
  const write = (bias: number, ...parts: string[]) =>
    writeModelFolder(at(...parts), logisticModel([1], bias), matrixSignature(["x"]));
  const ask = async (path: string) => {
    const { status, body } = await running.post(path, { instances: [[0]] });
    return status === 200 ? Number(body.predictions[0].toFixed(3)) : [status, body.error];
  };
  const index = async (body: object = {}) => (await running.post("/v2/repository/index", body)).body;
  const get = async (path: string) => JSON.parse((await running.send(path, undefined, {}, "GET")).bytes.toString());
  const load = (model: string, body: object = {}) => running.post(`/v2/repository/models/${model}/load`, body);
  const unload = (model: string) => running.post(`/v2/repository/models/${model}/unload`, {});

  beforeEach(async () => {
    folder = await temporaryFolder();
    await write(0, "one");
    await write(1, "two", "1");
    await write(2, "two", "10");
    await write(3, "two", "9");
    running = await runServer({ repositoryDirectory: folder.path, allowModelControl: true });
  });
  afterEach(async () => {
    await running.server.close();
    await folder.remove();
  });

  it("answers for each by name, and for the newest version where none is named", async () => {
    expect(await ask("/v1/models/one:predict")).toBe(0.5);
    expect(await ask("/v1/models/two:predict")).toBe(0.881);
    const body = { inputs: [{ name: "x", shape: [1], datatype: "FP32", data: [0] }] };
    const nine = await running.post("/v2/models/two/versions/9/infer", body);
    expect([nine.body.model_version, nine.headers.get("x-espalier-model-version")]).toEqual(["9", "9"]);
    expect(await get("/v2/models/two")).toMatchObject({ name: "two", versions: ["1", "10", "9"] });
    expect(await get("/v1/models")).toEqual({ models: ["one", "two"] });
    expect((await running.post("/v2/models/two/versions/2/infer", body)).body.error).toContain("version 1, 10, 9 here");
    expect((await running.post("/invocations", { instances: [[0]] })).body.message).toContain("2 models");
    expect((await running.post("/v1/models/three:predict", { instances: [[0]] })).status).toBe(404);
  });

  it("loads a new model and a new version, unloads, and tells", async () => {
    expect(await index()).toEqual([
      { name: "one", version: "1", state: "READY", reason: "" },
      { name: "two", version: "1", state: "READY", reason: "" },
      { name: "two", version: "9", state: "READY", reason: "" },
      { name: "two", version: "10", state: "READY", reason: "" },
    ]);
    await write(4, "three");
    await write(5, "two", "11");
    await rm(at("two", "1"), { recursive: true });
    expect((await load("three")).status).toBe(200);
    expect((await load("two")).status).toBe(200);
    expect([await ask("/v1/models/three:predict"), await ask("/v1/models/two:predict")]).toEqual([0.982, 0.993]);
    expect((await unload("one")).status).toBe(200);
    expect(await ask("/v1/models/one:predict")).toEqual([404, expect.stringContaining("is not loaded")]);
    expect((await index({ ready: true })).map(({ name, version }: never) => `${name}/${version}`)).toEqual([
      ...["three/1", "two/9", "two/10", "two/11"],
    ]);
    expect((await index())[0]).toEqual({ name: "one", version: "1", state: "UNAVAILABLE", reason: "unloaded" });
    expect((await load("one")).status).toBe(200);
    expect(await ask("/v1/models/one:predict")).toBe(0.5);
  });

  it("a model that can not be loaded again goes on as it was, and the others with it", async () => {
    await writeFile(at("one", "model.onnx"), "nonsense");
    const refused = await load("one");
    expect([refused.status, refused.body.error]).toEqual([422, expect.stringContaining("can not load the model")]);
    expect([await ask("/v1/models/one:predict"), await ask("/v1/models/two:predict")]).toEqual([0.5, 0.881]);
    expect((await index())[0]).toMatchObject({
      state: "READY",
      reason: expect.stringContaining("the old one goes on"),
    });
    await write(1, "one");
    expect((await load("one")).status).toBe(200);
    expect(await ask("/v1/models/one:predict")).toBe(0.731);
    expect((await index())[0]).toMatchObject({ state: "READY", reason: "" });
  });

  it("a model that was never loaded says why; the server is ready without it", async () => {
    await writeModelFolder(at("broken"), Buffer.from("nonsense"), matrixSignature(["x"]));
    const other = await runServer({ repositoryDirectory: folder.path });
    try {
      expect((await other.send("/v2/health/ready", undefined, {}, "GET")).status).toBe(200);
      const { status, body } = await other.post("/v1/models/broken:predict", { instances: [[0]] });
      expect([status, body.error]).toEqual([503, expect.stringContaining("could not be loaded: onnxruntime can not")]);
      expect((await other.post("/v2/models/broken/infer", { inputs: [] })).status).toBe(503);
      expect((await other.post("/v1/models/one:predict", { instances: [[0]] })).status).toBe(200);
    } finally {
      await other.server.close();
    }
  });

  it("takes a repository of Triton's, whose versions are a model.onnx, by the graph's own inputs", async () => {
    await mkdir(at("bare", "2"), { recursive: true });
    await writeFile(at("bare", "2", "model.onnx"), logisticModel([1, -1], 0));
    await writeFile(at("bare", "config.pbtxt"), 'name: "bare"\nplatform: "onnxruntime_onnx"\n');
    expect((await load("bare")).status).toBe(200);
    const metadata = await get("/v2/models/bare");
    expect(metadata.inputs.map(({ name, datatype }: never) => [name, datatype])).toEqual([
      ["input_0", "FP32"],
      ["input_1", "FP32"],
    ]);
    const body = { inputs: [{ name: "input", shape: [1, 2], datatype: "FP32", data: [2, 2] }] };
    const answer = await running.post("/v2/models/bare/versions/2/infer", body);
    expect(answer.body.outputs).toEqual([{ name: "probability", datatype: "FP32", shape: [1, 1], data: [0.5] }]);
  });

  it("requests that a model has taken are answered before it is unloaded", async () => {
    const names = Array.from({ length: 512 }, (_, column) => `x${column}`);
    await writeModelFolder(at("slow"), slowModel(512, 40), matrixSignature(names));
    expect((await load("slow")).status).toBe(200);
    const { model } = running.server.serving.repository.find("slow");
    const taken = running.post("/v1/models/slow:predict", { instances: new Array(256).fill(names.map(() => 0)) });
    while (model.inFlight?.() === 0) await new Promise((resolve) => setImmediate(resolve));
    const gone = unload("slow");
    // Its connection may be served before or after that of the unloading.
    while (running.server.serving.repository.peek("slow") !== undefined)
      await new Promise((resolve) => setImmediate(resolve));
    expect((await index())[1]).toMatchObject({ name: "slow", state: "UNLOADING" });
    expect(await ask("/v1/models/slow:predict")).toEqual([404, expect.stringContaining("is not loaded")]);
    const { status, body } = await taken;
    expect([status, body.predictions.length]).toEqual([200, 256]);
    expect((await gone).status).toBe(200);
    expect((await index())[1]).toMatchObject({ name: "slow", state: "UNAVAILABLE", reason: "unloaded" });
  });

  it("no request is lost while a model is loaded again and again", async () => {
    let stop = false;
    const callers = Array.from({ length: 4 }, async () => {
      const seen = new Map<unknown, number>();
      while (!stop) {
        const answer = await ask("/v1/models/one:predict");
        seen.set(answer, (seen.get(answer) ?? 0) + 1);
      }
      return seen;
    });
    for (let change = 1; change <= 20; change++) {
      await write(change % 2, "one");
      expect((await load("one")).status).toBe(200);
    }
    stop = true;
    const answers = new Set((await Promise.all(callers)).flatMap((seen) => [...seen.keys()]));
    expect(answers).toEqual(new Set([0.5, 0.731]));
  });

  it("counts what each has done, in Triton's form", async () => {
    const before = Date.now();
    await running.post("/v1/models/one:predict", { instances: [[0], [1], [2]] });
    await running.post("/v1/models/one:predict", { instances: [[0]] });
    await running.post("/v1/models/one:predict", { instances: [["x"]] });
    const { model_stats: all } = await get("/v2/models/stats");
    expect(all.map(({ name, version }: never) => `${name}/${version}`)).toEqual(["one/1", "two/1", "two/9", "two/10"]);
    const { model_stats: one } = await get("/v2/models/one/versions/1/stats");
    expect(one[0]).toMatchObject({
      inference_count: 4,
      execution_count: 2,
      inference_stats: {
        success: { count: 2 },
        fail: { count: 1 },
        queue: { count: 2 },
        compute_infer: { count: 2 },
        cache_hit: { count: 0, ns: 0 },
      },
      batch_stats: [
        { batch_size: 1, compute_infer: { count: 1 } },
        { batch_size: 3, compute_infer: { count: 1 } },
      ],
    });
    expect(one[0].last_inference).toBeGreaterThanOrEqual(before);
    const { success, queue, compute_infer: infer } = one[0].inference_stats;
    expect(infer.ns).toBeGreaterThan(0);
    expect(success.ns).toBeGreaterThanOrEqual(queue.ns + infer.ns);
    expect((await running.send("/v2/models/none/stats", undefined, {}, "GET")).status).toBe(404);
  });

  it.each<[string, string, object, number, string]>([
    ["a model that is not there", "none", {}, 404, "can not be read"],
    ["a name that leaves the repository", "..%2Fother", {}, 400, "is not a name of a model"],
    ["a hidden folder", ".git", {}, 400, "is not a name of a model"],
    ["a configuration from outside", "one", { parameters: { config: "{}" } }, 400, '"config" is not supported'],
    ["files from outside", "one", { parameters: { "file:1/model.onnx": "AAAA" } }, 400, "is not supported"],
  ])("refuses to load %s", async (_name, model, body, status, message) => {
    const answer = await load(model, body);
    expect([answer.status, answer.body.error]).toEqual([status, expect.stringContaining(message)]);
    expect(await ask("/v1/models/one:predict")).toBe(0.5);
  });

  it("loads and unloads for nobody unless it was started so, and never for a web page", async () => {
    const page = await running.post("/v2/repository/models/one/unload", {}, { origin: "https://example.org" });
    expect([page.status, page.body.error]).toEqual([403, expect.stringContaining("web pages")]);
    const closed = await runServer({
      repositoryDirectory: folder.path,
      vertex: { healthRoute: "/h", predictRoute: "/v2/repository/models/one/unload" },
    });
    try {
      for (const verb of ["load", "unload"]) {
        const answer = await closed.post(`/v2/repository/models/two/${verb}`, {});
        expect([answer.status, answer.body.error]).toEqual([
          403,
          expect.stringContaining("can not be loaded and unloaded"),
        ]);
      }
      // A predict route predicts, whatever it is called.
      expect((await closed.post("/v2/repository/models/one/unload", { instances: [[0]] })).body.error).toContain(
        "2 models",
      );
      expect((await closed.post("/v1/models/two:predict", { instances: [[0]] })).status).toBe(200);
    } finally {
      await closed.server.close();
    }
  });
});
