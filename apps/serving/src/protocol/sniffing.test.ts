import { join } from "node:path";
import { logisticModel, matrixSignature, writeModelFolder } from "@espalier/conformance";
import type { ModelSignature } from "@espalier/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningServer, runServer, temporaryFolder } from "../testing/running-server.ts";

/** `/invocations` takes bodies of several protocols; each body is one of them, told by itself. */
describe("one body never means two things", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let matrix: RunningServer;
  /** Its columns have the names of a V2 tensor's members. */
  let treacherous: RunningServer;

  beforeAll(async () => {
    folder = await temporaryFolder();
    const at = await writeModelFolder(
      join(folder.path, "matrix"),
      logisticModel([1, -1], 0),
      matrixSignature(["a", "b"]),
    );
    matrix = await runServer({ modelDirectory: at, vertex: { healthRoute: "/healthy", predictRoute: "/vertex" } });
    const names: ModelSignature = matrixSignature(["name", "shape", "datatype"]);
    const odd = await writeModelFolder(join(folder.path, "odd"), logisticModel([1, -1, 0], 0), names);
    treacherous = await runServer({ modelDirectory: odd });
  });
  afterAll(async () => {
    await Promise.all([matrix.server.close(), treacherous.server.close()]);
    await folder.remove();
  });

  const tensor = { name: "m", datatype: "FP32", shape: [1, 2], data: [0, 0] };
  const v2 = { outputs: [{ name: "probability", datatype: "FP32", shape: [1, 1], data: [0.5] }] };
  const mlflow = { predictions: [0.5] };

  it.each<[string, object, object]>([
    ["inputs that are all tensors: V2", { inputs: [tensor] }, v2],
    [
      "inputs of one tensor a column: V2",
      { inputs: ["a", "b"].map((name) => ({ ...tensor, name, shape: [1], data: [0] })) },
      v2,
    ],
    ["inputs as rows: MLflow", { inputs: [[0, 0]] }, mlflow],
    ["inputs as records: MLflow", { inputs: [{ a: 0, b: 0 }] }, mlflow],
    ["inputs by column: MLflow", { inputs: { a: [0], b: [0] } }, mlflow],
    ["instances: MLflow", { instances: [[0, 0]] }, mlflow],
    ["members that no protocol has are ignored", { instances: [[0, 0]], signature_name: "serving_default" }, mlflow],
    ["V2's own members do not make instances V2", { instances: [[0, 0]], id: "x", outputs: [] }, mlflow],
  ])("%s", async (_name, body, expected) => {
    for (const path of ["/invocations", "/score", "/predict", "/vertex"]) {
      const answer = await matrix.post(path, body);
      expect([answer.status, answer.body], path).toMatchObject([200, expected]);
    }
  });

  it.each<[string, object, object]>([
    [
      "tensors and instances",
      { inputs: [tensor], instances: [[0, 0]] },
      { error: expect.stringContaining('tensors in "inputs" and "instances"') },
    ],
    [
      "tensors and a data frame",
      { inputs: [tensor], dataframe_split: { data: [[0, 0]] } },
      { error: expect.stringContaining('"dataframe_split"') },
    ],
    [
      "rows and instances",
      { inputs: [[0, 0]], instances: [[0, 0]] },
      { error_code: "BAD_REQUEST", message: expect.stringContaining("exactly one of") },
    ],
    [
      "two data frames",
      { dataframe_split: { data: [] }, dataframe_records: [] },
      { error_code: "BAD_REQUEST", message: expect.stringContaining("exactly one of") },
    ],
    [
      "tensors of which one has no shape: MLflow's records, whose columns do not fit",
      { inputs: [tensor, { name: "b", datatype: "FP32", data: [0] }] },
      { error_code: "BAD_REQUEST", message: expect.stringContaining("unknown") },
    ],
    ["no inputs", { inputs: [] }, { error_code: "BAD_REQUEST", message: expect.stringContaining("no rows") }],
    ["a list", [[0, 0]], { error_code: "BAD_REQUEST", message: expect.stringContaining("must be a JSON object") }],
    ["a chat", { messages: [] }, { error_code: "BAD_REQUEST", message: expect.stringContaining("language models") }],
    ["a chat in V2's word", { input: "hello" }, { error_code: "BAD_REQUEST" }],
  ])("refuses %s, in the form of what it is", async (_name, body, expected) => {
    const answer = await matrix.post("/invocations", body);
    expect([answer.status, answer.body]).toMatchObject([400, expected]);
  });

  it("a model whose columns are called as a tensor's members takes records as instances, and its inputs are V2", async () => {
    const record = { name: 0, shape: 0, datatype: 0 };
    expect((await treacherous.post("/invocations", { instances: [record] })).body).toEqual(mlflow);
    expect((await treacherous.post("/invocations", { dataframe_records: [record] })).body).toEqual(mlflow);
    const answer = await treacherous.post("/invocations", { inputs: [record] });
    expect([answer.status, answer.body]).toMatchObject([400, { error: expect.stringContaining('no "name"') }]);
  });

  it("a path of one protocol takes only its own bodies", async () => {
    const infer = await matrix.post("/v2/models/tiny/infer", { instances: [[0, 0]] });
    expect([infer.status, infer.body]).toMatchObject([400, { error: expect.stringContaining('"inputs" must be') }]);
    const predict = await matrix.post("/v1/models/tiny:predict", { inputs: [tensor] });
    expect([predict.status, predict.body]).toMatchObject([400, { error: expect.stringContaining('"instances"') }]);
  });

  it.each<[string, object]>([
    ["a data frame", { columns: ["b", "a"], index: [0], data: [[0, 0]] }],
    ["rows", [[0, 0]]],
    ["records", [{ a: 0, b: 0 }]],
    ["columns", { a: [0], b: [0] }],
  ])("input_data is Azure ML's, at its path alone: %s", async (_name, input) => {
    const answer = await matrix.post("/score", { input_data: input });
    expect([answer.status, answer.body]).toEqual([200, [0.5]]);
    expect((await matrix.post("/invocations", { input_data: input })).status).toBe(400);
    const both = await matrix.post("/score", { input_data: input, instances: [[0, 0]] });
    expect([both.status, both.body.message]).toEqual([400, expect.stringContaining("not both")]);
  });

  it("params belong to MLflow, parameters to V1 and Vertex AI", async () => {
    const refused = async (path: string, body: object) => (await matrix.post(path, body)).status;
    expect(await refused("/invocations", { instances: [[0, 0]], params: { a: 1 } })).toBe(400);
    expect(await refused("/invocations", { instances: [[0, 0]], parameters: { a: 1 } })).toBe(200);
    expect(await refused("/vertex", { instances: [[0, 0]], parameters: { a: 1 } })).toBe(400);
    expect(await refused("/vertex", { instances: [[0, 0]], parameters: {} })).toBe(200);
    expect(await refused("/v1/models/tiny:predict", { instances: [[0, 0]], parameters: { a: 1 } })).toBe(400);
  });

  it.each<[string, string, number, string]>([
    ["another charset", "application/json; charset=latin-1", 415, "only supports UTF-8"],
    ["an unknown parameter", "application/json; odata=verbose", 415, "Unrecognized content type parameters: odata"],
    ["a parameter of CSV", "text/csv; header=absent", 415, "Unrecognized content type parameters: header"],
    ["another type", "application/xml", 415, "understands the content types"],
    ["a form", "application/x-www-form-urlencoded", 415, "understands the content types"],
    ["octets without a header", "application/octet-stream", 415, "understands the content types"],
  ])("refuses %s as MLflow's server does", async (_name, type, status, message) => {
    const answer = await matrix.send("/invocations", '{"instances":[[0,0]]}', { "content-type": type });
    expect([answer.status, answer.headers.get("content-type")]).toEqual([status, "text/plain; charset=utf-8"]);
    expect(answer.bytes.toString()).toContain(message);
  });

  it.each(["application/json; charset=UTF-8", 'application/json;charset="utf-8"', "APPLICATION/JSON"])(
    "takes %s",
    async (type) => {
      const answer = await matrix.send("/invocations", '{"instances":[[0,0]]}', { "content-type": type });
      expect(JSON.parse(answer.bytes.toString())).toEqual(mlflow);
    },
  );

  it("takes Triton's binary bodies by the content types that SageMaker and Vertex AI let through", async () => {
    const json = Buffer.from(
      JSON.stringify({ inputs: [{ ...tensor, data: undefined, parameters: { binary_data_size: 8 } }] }),
    );
    const body = Buffer.concat([json, Buffer.alloc(8)]);
    for (const platform of ["sagemaker-triton", "vertex-ai-triton"]) {
      const type = `application/vnd.${platform}.binary+json;json-header-size=${json.length}`;
      const answer = await matrix.send("/invocations", body, { "content-type": type });
      expect(JSON.parse(answer.bytes.toString()), platform).toMatchObject(v2);
    }
  });
});
