import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** A logistic regression as an ONNX graph, written byte by byte, so that tests need no Python: sigmoid(x · weights + bias). */
export async function writeLogisticModel(
  folder: string,
  columns: readonly string[],
  weights: readonly number[],
  bias = 0,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const signature = {
    format: "onnx",
    payload: "model.onnx",
    inputs: columns.map((name) => ({ name, type: "float" })),
    outputs: [{ name: "probability", type: "float", shape: [1] }],
    score: { output: "probability", index: 0 },
  };
  await writeFile(join(folder, "signature.json"), JSON.stringify(signature));
  await writeFile(join(folder, "model.onnx"), logisticGraph(columns.length, weights, bias));
}

function logisticGraph(width: number, weights: readonly number[], bias: number): Uint8Array {
  const graph = Buffer.concat([
    field(1, node("MatMul", ["x", "w"], "xw")),
    field(1, node("Add", ["xw", "b"], "logit")),
    field(1, node("Sigmoid", ["logit"], "probability")),
    field(2, Buffer.from("logistic")),
    field(5, floatTensor("w", [width, 1], weights)),
    field(5, floatTensor("b", [1], [bias])),
    field(11, valueInfo("x", width)),
    field(12, valueInfo("probability", 1)),
  ]);
  const opset = varint(2, 13);
  return Buffer.concat([varint(1, 8), field(7, graph), field(8, opset)]);
}

function node(operator: string, inputs: readonly string[], output: string): Buffer {
  return Buffer.concat([
    ...inputs.map((input) => field(1, Buffer.from(input))),
    field(2, Buffer.from(output)),
    field(4, Buffer.from(operator)),
  ]);
}

function floatTensor(name: string, shape: readonly number[], values: readonly number[]): Buffer {
  const raw = Buffer.from(Float32Array.from(values).buffer);
  return Buffer.concat([
    ...shape.map((size) => varint(1, size)),
    varint(2, 1),
    field(8, Buffer.from(name)),
    field(9, raw),
  ]);
}

function valueInfo(name: string, width: number): Buffer {
  const shape = Buffer.concat([field(1, field(2, Buffer.from("rows"))), field(1, varint(1, width))]);
  const tensorType = Buffer.concat([varint(1, 1), field(2, shape)]);
  return Buffer.concat([field(1, Buffer.from(name)), field(2, field(1, tensorType))]);
}

/** Protocol buffers: a length-delimited field. */
function field(number: number, content: Buffer): Buffer {
  return Buffer.concat([encodeVarint((number << 3) | 2), encodeVarint(content.length), content]);
}

function varint(number: number, value: number): Buffer {
  return Buffer.concat([encodeVarint(number << 3), encodeVarint(value)]);
}

function encodeVarint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push((rest & 127) | 128);
    rest = Math.floor(rest / 128);
  }
  return Buffer.from([...bytes, rest]);
}
