import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { matrixSignature, treeModel, writeModelFolder } from "@espalier/conformance";

/** The model of every server here: 200 trees of depth 6 over 30 features, one row a request. */
export interface BenchModel {
  folder: string;
  onnxFile: string;
  columns: number;
  row: readonly number[];
}

export const modelName = "tree";

export async function makeModel(scratch: string): Promise<BenchModel> {
  const columns = Array.from({ length: 30 }, (_, index) => `x${index}`);
  const folder = join(scratch, "model");
  await mkdir(folder, { recursive: true });
  await writeModelFolder(folder, treeModel({ columns: 30, trees: 200, depth: 6, seed: 1 }), matrixSignature(columns));
  const row = columns.map((_, index) => Number(((index * 0.37) % 1).toFixed(4)));
  return { folder, onnxFile: join(folder, "model.onnx"), columns: columns.length, row };
}

/** One request, the same row in each protocol's words. */
export interface BenchRequest {
  path: string;
  body: Buffer;
  headers?: Readonly<Record<string, string>>;
  /** Over HTTP/2, as gRPC frames a message. */
  grpc?: boolean;
}

const inferPath = `/v2/models/${modelName}/infer`;
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

function floats(row: readonly number[]): Buffer {
  const bytes = Buffer.alloc(row.length * 4);
  row.forEach((value, index) => {
    bytes.writeFloatLE(value, index * 4);
  });
  return bytes;
}

export function v2Json({ row }: BenchModel): BenchRequest {
  const input = { name: "input", shape: [1, row.length], datatype: "FP32", data: row };
  return { path: inferPath, body: json({ inputs: [input] }) };
}

/** As `tritonclient[http]` sends it by default: tensors in bytes behind the JSON, both ways. */
export function v2Binary({ row }: BenchModel): BenchRequest {
  const parameters = { binary_data_size: row.length * 4 };
  const head = json({
    inputs: [{ name: "input", shape: [1, row.length], datatype: "FP32", parameters }],
    parameters: { binary_data_output: true },
  });
  return {
    path: inferPath,
    body: Buffer.concat([head, floats(row)]),
    headers: {
      "content-type": "application/octet-stream",
      "inference-header-content-length": String(head.length),
    },
  };
}

const field = (number: number, bytes: Buffer | string): Buffer => {
  const body = Buffer.from(bytes);
  if (body.length > 127) throw new Error("This encoder writes lengths of one byte only");
  return Buffer.concat([Buffer.from([(number << 3) | 2, body.length]), body]);
};

/** As `tritonclient[grpc]` sends it: a ModelInferRequest with raw contents. */
export function v2Grpc({ row }: BenchModel): BenchRequest {
  const shape = Buffer.from([1, row.length]);
  const input = Buffer.concat([field(1, "input"), field(2, "FP32"), field(3, shape)]);
  const raw = floats(row);
  const message = Buffer.concat([field(1, modelName), field(5, input), field(7, raw)]);
  return { path: "/inference.GRPCInferenceService/ModelInfer", body: message, grpc: true };
}

export const mlflowInputs = ({ row }: BenchModel): BenchRequest => ({
  path: "/invocations",
  body: json({ inputs: [row] }),
});
