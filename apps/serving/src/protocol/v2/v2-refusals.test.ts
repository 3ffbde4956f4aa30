import { join } from "node:path";
import { identityModel, logisticModel, matrixSignature, writeModelFolder } from "@espalier/conformance";
import type { ModelSignature } from "@espalier/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { binaryRequest, bytesOf, type Tensor } from "../../testing/binary-tensors.ts";
import { type RunningServer, runServer, temporaryFolder } from "../../testing/running-server.ts";

const echoSignature: ModelSignature = {
  format: "onnx",
  payload: "model.onnx",
  inputs: [
    { name: "text", type: "string" },
    { name: "flag", type: "boolean" },
    { name: "image", type: "float", shape: [2, 2] },
  ],
  outputs: [{ name: "image_out", type: "float", shape: [2, 2] }],
};

describe("what V2 refuses", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let echo: RunningServer;
  let matrix: RunningServer;
  const infer = "/v2/models/tiny/infer";

  beforeAll(async () => {
    folder = await temporaryFolder();
    const graph = identityModel([
      { name: "text", type: "string" },
      { name: "flag", type: "bool" },
      { name: "image", type: "float", shape: [2, 2] },
    ]);
    echo = await runServer({ modelDirectory: await writeModelFolder(join(folder.path, "echo"), graph, echoSignature) });
    const logistic = logisticModel([1, -1], 0);
    const at = await writeModelFolder(join(folder.path, "matrix"), logistic, matrixSignature(["a", "b"]));
    matrix = await runServer({ modelDirectory: at });
  });
  afterAll(async () => {
    await Promise.all([echo, matrix].map(({ server }) => server.close()));
    await folder.remove();
  });

  const one = (bytes: Buffer, shape: number[], datatype = "FP32"): Tensor => ({
    name: "input",
    datatype,
    shape,
    bytes,
  });
  const eight = Buffer.alloc(8);
  const json = (datatype: string): string =>
    JSON.stringify({ inputs: [{ name: "input", datatype, shape: [1, 2], data: [1, 2] }] });
  it.each<[string, Buffer | string, Record<string, string>, string]>([
    ["a negative header", "{}", { "inference-header-content-length": "-1" }, "must be a number of bytes"],
    ["a header that is no number", "{}", { "inference-header-content-length": "ten" }, "must be a number of bytes"],
    ["a fraction as header", "{}", { "inference-header-content-length": "1.5" }, "must be a number of bytes"],
    ["a header above the body", "{}", { "inference-header-content-length": "99999999999" }, "the body has 2 bytes"],
    [
      "a header above all numbers",
      "{}",
      { "inference-header-content-length": "9".repeat(400) },
      "must be a number of bytes",
    ],
    ["a header that cuts the JSON", '{"inputs":[]}', { "inference-header-content-length": "5" }, "not JSON"],
    ["a truncated body", ...cut(one(eight, [1, 2]), 3), "of which the body holds 5"],
    ["bytes that no input names", ...longer(one(eight, [1, 2])), "and the inputs name 8"],
    ["a size that does not fit the shape", ...both(one(eight, [2, 2])), "4 elements of FP32 need 16 bytes, got 8"],
    ["a negative size", ...sized(-8), '"binary_data_size" must be'],
    ["a fraction as size", ...sized(0.5), '"binary_data_size" must be'],
    ["a huge size", ...sized(2 ** 40), "of which the body holds 8"],
    ["text as size", ...sized("8"), '"binary_data_size" must be'],
    ["an unknown datatype", ...both(one(eight, [1, 2], "FP31")), 'unknown datatype "FP31"'],
    ["a member of every object as datatype", ...both(one(eight, [1, 2], "constructor")), 'datatype "constructor"'],
    ["the same beside JSON", json("constructor"), {}, "got constructor"],
    ["a shape above all numbers", ...both(one(eight, [2 ** 40, 2 ** 40])), "elements of FP32 need"],
    [
      "binary data without a header",
      JSON.stringify({ inputs: [{ ...head(), parameters: { binary_data_size: 8 } }] }),
      {},
      "has no Inference-Header",
    ],
    ["data twice", ...twice(), "both data and binary data"],
    [
      "a raw body of half a row",
      Buffer.alloc(12),
      { "inference-header-content-length": "0" },
      "no whole number of rows of 16 bytes",
    ],
    ["an empty raw body", Buffer.alloc(0), { "inference-header-content-length": "0" }, "no whole number of rows"],
    ["not a number", ...both(one(bytesOf(Float32Array.of(Number.NaN, 1)), [1, 2])), "a value is missing"],
    ["an infinity", ...both(one(bytesOf(Float32Array.of(1, Number.POSITIVE_INFINITY)), [1, 2])), "expected a number"],
    [
      "parameters that are a list",
      JSON.stringify({ inputs: [{ ...head(), data: [0, 0] }], parameters: [] }),
      {},
      "must be an object",
    ],
    [
      "a timeout that is no number",
      JSON.stringify({ inputs: [{ ...head(), data: [0, 0] }], parameters: { timeout: -1 } }),
      {},
      '"timeout" must be',
    ],
    [
      "a name with its own toString",
      JSON.stringify({ inputs: [{ ...head(), data: [0, 0] }], outputs: [{ name: { toString: 1 } }] }),
      {},
      "unknown output an object",
    ],
    [
      "a shape of a thousand dimensions",
      JSON.stringify({ inputs: [{ ...head(), shape: new Array(1000).fill(1), data: [1] }] }),
      {},
      '"shape" must be',
    ],
    [
      "an integer outside its datatype",
      JSON.stringify({ inputs: [{ ...head(), datatype: "INT8", data: [128, 0] }] }),
      {},
      "128 is not a value of INT8",
    ],
    [
      "a fraction in an integer tensor",
      JSON.stringify({ inputs: [{ ...head(), datatype: "INT32", data: [1.5, 0] }] }),
      {},
      "1.5 is not a value of INT32",
    ],
    ["a body that is not UTF-8", Buffer.from([0x7b, 0xff, 0x7d]), {}, "not UTF-8"],
  ])("refuses %s, and goes on", async (_name, body, headers, message) => {
    const answer = await matrix.send(infer, body, headers);
    const text = answer.bytes.toString();
    expect([answer.status, JSON.parse(text).error]).toEqual([400, expect.stringContaining(message)]);
    const good = { inputs: [{ ...head(), data: [0, 0] }] };
    expect((await matrix.post(infer, good)).body.outputs[0].data).toEqual([0.5]);
  });

  it.each<[string, Tensor[], string]>([
    ["a BOOL of 2", [{ name: "flag", datatype: "BOOL", shape: [1], bytes: Buffer.from([2]) }], "must be 0 or 1, got 2"],
    [
      "text that ends early",
      [{ name: "text", datatype: "BYTES", shape: [1], bytes: Buffer.from([9, 0, 0, 0, 65]) }],
      "ends behind",
    ],
    [
      "a length above all",
      [{ name: "text", datatype: "BYTES", shape: [1], bytes: Buffer.from([255, 255, 255, 255]) }],
      "ends behind",
    ],
    [
      "more elements than bytes",
      [{ name: "text", datatype: "BYTES", shape: [2 ** 50], bytes: Buffer.alloc(8) }],
      "do not fit into 8 bytes",
    ],
    [
      "bytes behind the last text",
      [{ name: "text", datatype: "BYTES", shape: [1], bytes: Buffer.alloc(9) }],
      "are left behind",
    ],
    [
      "text that is not UTF-8",
      [{ name: "text", datatype: "BYTES", shape: [1], bytes: Buffer.from([1, 0, 0, 0, 0xff]) }],
      "not UTF-8",
    ],
    [
      "another shape",
      [{ name: "image", datatype: "FP32", shape: [1, 4], data: [1, 2, 3, 4] }],
      "expected shape [rows, 2,2]",
    ],
  ])("refuses a tensor of %s", async (_name, tensors, message) => {
    const { body, headers } = binaryRequest(tensors);
    const answer = await echo.send(infer, body, headers);
    expect([answer.status, JSON.parse(answer.bytes.toString()).error]).toEqual([400, expect.stringContaining(message)]);
  });
});

function head() {
  return { name: "input", datatype: "FP32", shape: [1, 2] };
}
function both(tensor: Tensor): [Buffer, Record<string, string>] {
  const { body, headers } = binaryRequest([tensor]);
  return [body, headers];
}
function cut(tensor: Tensor, bytes: number): [Buffer, Record<string, string>] {
  const [body, headers] = both(tensor);
  return [body.subarray(0, body.length - bytes), headers];
}
function longer(tensor: Tensor): [Buffer, Record<string, string>] {
  const [body, headers] = both(tensor);
  return [Buffer.concat([body, Buffer.alloc(4)]), headers];
}
function sized(size: unknown): [Buffer, Record<string, string>] {
  const json = Buffer.from(JSON.stringify({ inputs: [{ ...head(), parameters: { binary_data_size: size } }] }));
  return [Buffer.concat([json, Buffer.alloc(8)]), { "inference-header-content-length": String(json.length) }];
}
function twice(): [Buffer, Record<string, string>] {
  const inputs = [{ ...head(), data: [0, 0], parameters: { binary_data_size: 8 } }];
  const json = Buffer.from(JSON.stringify({ inputs }));
  return [Buffer.concat([json, Buffer.alloc(8)]), { "inference-header-content-length": String(json.length) }];
}
