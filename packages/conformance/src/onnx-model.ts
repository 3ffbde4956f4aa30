import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ModelSignature } from "@espalier/core";
import {
  bytesField,
  integerField,
  littleEndianFloats,
  messageField,
  packedFloats,
  packedIntegers,
} from "./protobuf.ts";

/** Field numbers are those of onnx.proto (ONNX 1.16, IR version 8). */
const elementType = {
  float: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  double: 11,
  uint64: 13,
} as const;
export type OnnxElementType = keyof typeof elementType;

type Attribute =
  | { integer: number }
  | { integers: readonly number[] }
  | { floats: readonly number[] }
  | { strings: readonly string[] }
  | { float: number };

function attribute(name: string, value: Attribute): Buffer {
  const head = bytesField(1, name);
  if ("integer" in value) return messageField(5, head, integerField(3, value.integer), integerField(20, 2));
  if ("integers" in value) return messageField(5, head, packedIntegers(8, value.integers), integerField(20, 7));
  if ("floats" in value) return messageField(5, head, packedFloats(7, value.floats), integerField(20, 6));
  if ("float" in value) {
    return messageField(5, head, Buffer.from([(2 << 3) | 5]), littleEndianFloats([value.float]), integerField(20, 1));
  }
  return messageField(5, head, ...value.strings.map((text) => bytesField(9, text)), integerField(20, 8));
}

function node(
  operator: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, Attribute>> = {},
  domain = "",
): Buffer {
  return messageField(
    1,
    ...inputs.map((name) => bytesField(1, name)),
    ...outputs.map((name) => bytesField(2, name)),
    bytesField(4, operator),
    ...Object.entries(attributes).map(([name, value]) => attribute(name, value)),
    bytesField(7, domain),
  );
}

function floatTensor(name: string, dimensions: readonly number[], values: readonly number[]): Buffer {
  return messageField(
    5,
    packedIntegers(1, dimensions),
    integerField(2, elementType.float),
    bytesField(8, name),
    bytesField(9, littleEndianFloats(values)),
  );
}

/** `rows`: how many the graph takes; any number when absent. */
function tensorValue(
  field: 11 | 12,
  name: string,
  type: OnnxElementType,
  tail: readonly number[],
  rows?: number,
): Buffer {
  const sizes = tail.map((size) => messageField(1, integerField(1, size)));
  const first = messageField(1, rows === undefined ? bytesField(2, "rows") : integerField(1, rows));
  const shape = messageField(2, first, ...sizes);
  return messageField(
    field,
    bytesField(1, name),
    messageField(2, messageField(1, integerField(1, elementType[type]), shape)),
  );
}

function model(...graph: readonly Buffer[]): Buffer {
  return Buffer.concat([
    integerField(1, 8),
    bytesField(2, "espalier-conformance"),
    messageField(7, ...graph, bytesField(2, "graph")),
    messageField(8, bytesField(1, ""), integerField(2, 15)),
    messageField(8, bytesField(1, "ai.onnx.ml"), integerField(2, 3)),
  ]);
}

/** `probability = sigmoid(input · weights + bias)` over one float matrix `input` of shape [rows, columns]. */
export function logisticModel(weights: readonly number[], bias: number): Buffer {
  return model(
    node("MatMul", ["input", "weights"], ["product"]),
    node("Add", ["product", "bias"], ["sum"]),
    node("Sigmoid", ["sum"], ["probability"]),
    floatTensor("weights", [weights.length, 1], weights),
    floatTensor("bias", [1], [bias]),
    tensorValue(11, "input", "float", [weights.length]),
    tensorValue(12, "probability", "float", [1]),
  );
}

/**
 * One tensor a column: `amount` (float), `grade` (int64, looked up in a table of 4 values, so that any other value makes the runtime
 * fail), `city` (string). `total = amount + [0, 10, 20, 30][grade] + {north: 100, south: 200}[city]`; an unknown city counts 0.
 */
export function columnModel(): Buffer {
  return model(
    node("Gather", ["table", "grade"], ["looked_up"], { axis: { integer: 0 } }),
    node(
      "LabelEncoder",
      ["city"],
      ["city_value"],
      {
        keys_strings: { strings: ["north", "south"] },
        values_floats: { floats: [100, 200] },
        default_float: { float: 0 },
      },
      "ai.onnx.ml",
    ),
    node("Add", ["amount", "looked_up"], ["partial"]),
    node("Add", ["partial", "city_value"], ["total"]),
    floatTensor("table", [4], [0, 10, 20, 30]),
    tensorValue(11, "amount", "float", [1]),
    tensorValue(11, "grade", "int64", [1]),
    tensorValue(11, "city", "string", [1]),
    tensorValue(12, "total", "float", [1]),
  );
}

/** Answers each input under `<name>_out`. `shape`: dimensions after the rows; `rows`: the only number of rows that the graph takes. */
export function identityModel(
  fields: readonly { name: string; type: OnnxElementType; shape?: readonly number[] }[],
  rows?: number,
): Buffer {
  return model(
    ...fields.map(({ name }) => node("Identity", [name], [`${name}_out`])),
    ...fields.map(({ name, type, shape = [] }) => tensorValue(11, name, type, shape, rows)),
    ...fields.map(({ name, type, shape = [] }) => tensorValue(12, `${name}_out`, type, shape, rows)),
  );
}

/**
 * A slow model: `layers` products with one matrix of `columns` squared, then `probability = sigmoid(mean of the columns)`. The matrix turns
 * the columns round by one place, so that the result is the input's own mean. Each row takes about `2 * layers * columns²` operations.
 */
export function slowModel(columns: number, layers: number): Buffer {
  const rotation = Array.from({ length: columns * columns }, (_, index) =>
    (Math.floor(index / columns) + 1) % columns === index % columns ? 1 : 0,
  );
  const names = ["input", ...Array.from({ length: layers }, (_, layer) => `layer_${layer}`)];
  return model(
    ...names.slice(1).map((name, index) => node("MatMul", [names[index] ?? "", "rotation"], [name])),
    node("MatMul", [names.at(-1) ?? "", "share"], ["mean"]),
    node("Sigmoid", ["mean"], ["probability"]),
    floatTensor("rotation", [columns, columns], rotation),
    floatTensor("share", [columns, 1], new Array<number>(columns).fill(1 / columns)),
    tensorValue(11, "input", "float", [columns]),
    tensorValue(12, "probability", "float", [1]),
  );
}

/** A forest of full binary trees with seeded splits in (0, 1), as gradient boosting exports it; `probability = sigmoid(sum of leaves)`. */
export function treeModel(shape: { columns: number; trees: number; depth: number; seed: number }): Buffer {
  let state = shape.seed >>> 0;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const lists = { tree: [] as number[], id: [] as number[], feature: [] as number[], value: [] as number[] };
  const edges = { mode: [] as string[], whenTrue: [] as number[], whenFalse: [] as number[] };
  const leaves = { tree: [] as number[], id: [] as number[], weight: [] as number[] };
  const inner = 2 ** shape.depth - 1;
  for (let tree = 0; tree < shape.trees; tree++) {
    for (let id = 0; id < 2 * inner + 1; id++) {
      const isLeaf = id >= inner;
      lists.tree.push(tree);
      lists.id.push(id);
      lists.feature.push(isLeaf ? 0 : Math.floor(random() * shape.columns));
      lists.value.push(isLeaf ? 0 : random());
      edges.mode.push(isLeaf ? "LEAF" : "BRANCH_LEQ");
      edges.whenTrue.push(isLeaf ? 0 : 2 * id + 1);
      edges.whenFalse.push(isLeaf ? 0 : 2 * id + 2);
      if (!isLeaf) continue;
      leaves.tree.push(tree);
      leaves.id.push(id);
      leaves.weight.push((random() - 0.5) / 10);
    }
  }
  const attributes = {
    n_targets: { integer: 1 },
    nodes_treeids: { integers: lists.tree },
    nodes_nodeids: { integers: lists.id },
    nodes_featureids: { integers: lists.feature },
    nodes_values: { floats: lists.value },
    nodes_modes: { strings: edges.mode },
    nodes_truenodeids: { integers: edges.whenTrue },
    nodes_falsenodeids: { integers: edges.whenFalse },
    target_treeids: { integers: leaves.tree },
    target_nodeids: { integers: leaves.id },
    target_ids: { integers: leaves.id.map(() => 0) },
    target_weights: { floats: leaves.weight },
  };
  return model(
    node("TreeEnsembleRegressor", ["input"], ["sum"], attributes, "ai.onnx.ml"),
    node("Sigmoid", ["sum"], ["probability"]),
    tensorValue(11, "input", "float", [shape.columns]),
    tensorValue(12, "probability", "float", [1]),
  );
}

/** Signature of a model with one float matrix and the output `probability`. */
export function matrixSignature(columns: readonly string[]): ModelSignature {
  return {
    format: "onnx",
    payload: "model.onnx",
    inputs: columns.map((name) => ({ name, type: "double" as const })),
    outputs: [{ name: "probability", type: "float", shape: [1] }],
    score: { output: "probability", index: 0 },
  };
}

export const columnSignature: ModelSignature = {
  format: "onnx",
  payload: "model.onnx",
  inputs: [
    { name: "amount", type: "double", nullable: true },
    { name: "grade", type: "long" },
    { name: "city", type: "string" },
  ],
  outputs: [{ name: "total", type: "float", shape: [1] }],
  score: { output: "total" },
};

/** Writes a model folder `{model.onnx, signature.json}`. */
export async function writeModelFolder(folder: string, bytes: Uint8Array, signature: ModelSignature): Promise<string> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "model.onnx"), bytes);
  await writeFile(join(folder, "signature.json"), JSON.stringify(signature));
  return folder;
}
