import { join } from "node:path";
import { deflateSync, gzipSync } from "node:zlib";
import {
  columnModel,
  columnSignature,
  identityModel,
  logisticModel,
  matrixSignature,
  writeModelFolder,
} from "@espalier/conformance";
import type { ModelSignature } from "@espalier/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { binaryRequest, bytesOf, readBinary, type Tensor, textBytes } from "../../testing/binary-tensors.ts";
import { type RunningServer, runServer, temporaryFolder } from "../../testing/running-server.ts";

const echoSignature: ModelSignature = {
  format: "onnx",
  payload: "model.onnx",
  inputs: [
    { name: "number", type: "long" },
    { name: "text", type: "string" },
    { name: "flag", type: "boolean" },
    { name: "real", type: "double" },
    { name: "image", type: "float", shape: [2, 2] },
  ],
  outputs: [
    { name: "number_out", type: "long" },
    { name: "text_out", type: "string" },
    { name: "flag_out", type: "boolean" },
    { name: "real_out", type: "double" },
    { name: "image_out", type: "float", shape: [2, 2] },
  ],
  score: { output: "number_out" },
};

describe("Open Inference Protocol V2 over HTTP", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let echo: RunningServer;
  let matrix: RunningServer;
  let columns: RunningServer;
  const infer = "/v2/models/tiny/infer";
  const numbers = [2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n];
  const echoTensors = (): Tensor[] => [
    { name: "number", datatype: "INT64", shape: [3], bytes: bytesOf(BigInt64Array.from(numbers)) },
    { name: "text", datatype: "BYTES", shape: [3, 1], bytes: textBytes("", "é, \u{1f98a}", "z".repeat(300)) },
    { name: "flag", datatype: "BOOL", shape: [3], bytes: Buffer.from([1, 0, 1]) },
    { name: "real", datatype: "FP64", shape: [3], bytes: bytesOf(Float64Array.of(0.1, -1e300, 5e-324)) },
    {
      name: "image",
      datatype: "FP32",
      shape: [3, 2, 2],
      bytes: bytesOf(Float32Array.from({ length: 12 }, (_, i) => i / 3)),
    },
  ];

  beforeAll(async () => {
    folder = await temporaryFolder();
    const types = { long: "int64", string: "string", boolean: "bool", double: "double", float: "float" } as const;
    const graph = identityModel(
      echoSignature.inputs.map(({ name, type, shape }) => ({
        name,
        type: types[type as keyof typeof types],
        ...(shape === undefined ? {} : { shape }),
      })),
    );
    echo = await runServer({ modelDirectory: await writeModelFolder(join(folder.path, "echo"), graph, echoSignature) });
    const logistic = logisticModel([1, -1], 0);
    const at = await writeModelFolder(join(folder.path, "matrix"), logistic, matrixSignature(["a", "b"]));
    matrix = await runServer({ modelDirectory: at, bodyLimitBytes: 100_000 });
    const columnFolder = await writeModelFolder(join(folder.path, "columns"), columnModel(), columnSignature);
    columns = await runServer({ modelDirectory: columnFolder });
  });
  afterAll(async () => {
    await Promise.all([echo, matrix, columns].map(({ server }) => server.close()));
    await folder.remove();
  });

  it("takes and gives binary tensors of every type, bit for bit", async () => {
    const tensors = echoTensors();
    const { body, headers } = binaryRequest(tensors, { id: "call 1", parameters: { binary_data_output: true } });
    const answer = await echo.send(infer, body, headers);
    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "application/octet-stream"]);
    const { json, tensors: outputs } = readBinary(answer);
    expect(json.id).toBe("call 1");
    expect(json.outputs[4]).toMatchObject({ name: "image_out", datatype: "FP32", shape: [3, 2, 2] });
    for (const { name, bytes } of tensors) expect(outputs.get(`${name}_out`), name).toEqual(bytes);
  });

  it("64-bit integers are exact in JSON, both ways", async () => {
    const data = `[${numbers.join(",")}]`;
    const inputs = echoTensors()
      .slice(1)
      .map(({ bytes, ...head }) => ({ ...head, ...plain(head.name) }));
    const text = JSON.stringify({ inputs: [{ name: "number", datatype: "INT64", shape: [3], data: "N" }, ...inputs] });
    const answer = await echo.send(infer, text.replace('"N"', data));
    expect(answer.status).toBe(200);
    expect(answer.bytes.toString()).toContain(`"name":"number_out","datatype":"INT64","shape":[3],"data":${data}`);
  });

  const plain = (name: string) =>
    ({
      text: { data: ["a", "b", "c"] },
      flag: { data: [true, false, true] },
      real: { data: [1, 2.5, 2 ** 63] },
      image: {
        data: [0, 1, 2].map((row) => [
          [row, 1],
          [2, 3],
        ]),
      },
    })[name];

  it("outputs may be binary one by one, beside JSON", async () => {
    const { body, headers } = binaryRequest(echoTensors(), {
      outputs: [{ name: "real_out", parameters: { binary_data: true } }, { name: "flag_out" }],
    });
    const { json, tensors } = readBinary(await echo.send(infer, body, headers));
    expect(json.outputs.map(({ name }: { name: string }) => name)).toEqual(["flag_out", "real_out"]);
    expect(json.outputs[0].data).toEqual([true, false, true]);
    expect(tensors.get("real_out")).toEqual(bytesOf(Float64Array.of(0.1, -1e300, 5e-324)));
  });

  it("a body without JSON is the one input; half precision and text are decoded", async () => {
    const raw = await matrix.send(infer, bytesOf(Float64Array.of(2, 2, 0, 0)), {
      "inference-header-content-length": "0",
    });
    const { json, tensors } = readBinary(raw);
    expect(json.outputs[0]).toMatchObject({ name: "probability", datatype: "FP32", shape: [2, 1] });
    expect(tensors.get("probability")).toEqual(bytesOf(Float32Array.of(0.5, 0.5)));
    const half = Buffer.from(Uint16Array.of(0x3c00, 0x3c00).buffer);
    const { body, headers } = binaryRequest([{ name: "input", datatype: "FP16", shape: [1, 2], bytes: half }]);
    const answer = await matrix.send(infer, body, headers);
    expect(JSON.parse(answer.bytes.toString()).outputs[0].data).toEqual([0.5]);
    const brain = Buffer.from(Uint16Array.of(0x3f80, 0x3f80).buffer);
    const other = binaryRequest([{ name: "input", datatype: "BF16", shape: [1, 2], bytes: brain }]);
    expect(JSON.parse((await matrix.send(infer, other.body, other.headers)).bytes.toString()).outputs[0].data).toEqual([
      0.5,
    ]);
  });

  it.each([
    ["gzip", gzipSync],
    ["deflate", deflateSync],
  ] as const)("reads bodies in %s, bounded by what they become", async (encoding, compress) => {
    const json = JSON.stringify({ inputs: [{ name: "m", datatype: "FP32", shape: [1, 2], data: [0, 0] }] });
    const answer = await matrix.send(infer, compress(json), { "content-encoding": encoding });
    expect(JSON.parse(answer.bytes.toString()).outputs[0].data).toEqual([0.5]);
    const bomb = await matrix.send(infer, compress(Buffer.alloc(50_000_000)), { "content-encoding": encoding });
    expect(bomb.status).toBe(413);
    const damaged = await matrix.send(infer, "not compressed", { "content-encoding": encoding });
    expect([damaged.status, JSON.parse(damaged.bytes.toString()).error]).toEqual([
      400,
      expect.stringContaining(encoding),
    ]);
  });

  it("refuses an encoding that it does not know", async () => {
    const answer = await matrix.post(infer, "{}", { "content-encoding": "br" });
    expect([answer.status, answer.body.error]).toEqual([400, expect.stringContaining("only gzip and deflate")]);
  });

  it("classifies: the highest values of a row with their places", async () => {
    const tensors = echoTensors();
    const outputs = [{ name: "image_out", parameters: { classification: 2 } }];
    const { body, headers } = binaryRequest(tensors, { outputs });
    const json = JSON.parse((await echo.send(infer, body, headers)).bytes.toString());
    expect(json.outputs).toEqual([
      {
        name: "image_out",
        datatype: "BYTES",
        shape: [3, 2],
        data: ["1.000000:3", "0.666667:2", "2.333333:3", "2.000000:2", "3.666667:3", "3.333333:2"],
      },
    ]);
  });

  it("columns that all come as typed arrays may hold NaN where the signature allows it", async () => {
    const tensors: Tensor[] = [
      { name: "amount", datatype: "FP64", shape: [2], bytes: bytesOf(Float64Array.of(Number.NaN, 2)) },
      { name: "grade", datatype: "INT32", shape: [2], bytes: bytesOf(Int32Array.of(0, 3)) },
      { name: "city", datatype: "BYTES", shape: [2], bytes: textBytes("north", "x") },
    ];
    const { body, headers } = binaryRequest(tensors);
    const answer = await columns.send(infer, body, headers);
    expect(JSON.parse(answer.bytes.toString()).outputs[0].data).toEqual([null, 32]);
  });

  it("says what it can, and no more; metadata has shapes", async () => {
    const get = async (path: string) => JSON.parse((await echo.send(path, undefined, {}, "GET")).bytes.toString());
    expect(await get("/v2")).toEqual({
      name: "espalier",
      version: "0.1.0",
      extensions: [
        "binary_tensor_data",
        "classification",
        "model_configuration",
        "model_repository",
        "model_repository(unload_dependents)",
        "statistics",
      ],
    });
    const metadata = await get("/v2/models/tiny");
    expect(metadata).toMatchObject({ versions: ["3"], platform: "onnxruntime_onnx" });
    expect(metadata.inputs[4]).toEqual({ name: "image", datatype: "FP32", shape: [-1, 2, 2] });
    expect(await get("/v2/models/tiny/versions/3/config")).toMatchObject({
      name: "tiny",
      backend: "onnxruntime",
      max_batch_size: 256,
      input: expect.arrayContaining([{ name: "image", data_type: "TYPE_FP32", dims: [2, 2] }]),
    });
  });
});
