import { EspalierError, type InputColumn, type ModelSignature } from "@espalier/core";
import type { Tensor } from "onnxruntime-node";
import type { Table } from "./table.ts";

/** Values of one graph input, row-major. */
export type Feed = Float32Array | Float64Array | BigInt64Array | Int32Array | Uint8Array | string[];

const encoders = {
  float32: (length: number) => new Float32Array(length),
  float64: (length: number) => new Float64Array(length),
  int64: (length: number) => new BigInt64Array(length),
  int32: (length: number) => new Int32Array(length),
  bool: (length: number) => new Uint8Array(length),
  string: (length: number) => new Array<string>(length),
} as const;
export type FeedType = keyof typeof encoders;

export interface GraphInput {
  name: string;
  type: FeedType;
  /** Dimensions after the rows. */
  tail: number[];
  /** The columns of the table that make it, by index. */
  columns: number[];
}

/** The slice of onnxruntime's metadata that is read here. */
export interface TensorMetadata {
  name: string;
  isTensor: boolean;
  type?: Tensor.Type;
  shape?: ReadonlyArray<number | string>;
}

function mismatch(message: string, at: string): EspalierError {
  return new EspalierError("SIGNATURE_MISMATCH", message, {
    at,
    hint: "Make signature.json describe the graph's inputs: one float matrix [rows, columns], or one tensor a column under the column's name.",
  });
}

function feedType(input: TensorMetadata): FeedType {
  if (input.isTensor && input.type !== undefined && input.type in encoders) return input.type as FeedType;
  throw new EspalierError("UNSUPPORTED", `The graph's input "${input.name}" has type ${input.type ?? "not a tensor"}`, {
    at: input.name,
    hint: `Export the model with inputs of ${Object.keys(encoders).join(", ")}.`,
  });
}

function fits(column: InputColumn, type: FeedType): boolean {
  if (column.type === "string") return type === "string";
  if (column.type === "datetime") return type === "string" || type === "int64";
  return type !== "string";
}

/** How the graph's inputs are made of the signature's columns. Errors: SIGNATURE_MISMATCH, UNSUPPORTED. */
export function layoutOf(signature: ModelSignature, graph: readonly TensorMetadata[]): GraphInput[] {
  const columns = signature.inputs;
  const only = graph.length === 1 ? graph[0] : undefined;
  const matrix = only !== undefined && !(columns.length === 1 && columns[0]?.name === only.name);
  if (only !== undefined && matrix) {
    const type = feedType(only);
    const width = only.shape?.[1];
    if (typeof width === "number" && width > 0 && width !== columns.length) {
      throw mismatch(`The graph takes ${width} columns, the signature names ${columns.length}`, only.name);
    }
    for (const column of columns) checkFit(column, type);
    return [{ name: only.name, type, tail: [columns.length], columns: columns.map((_, index) => index) }];
  }
  for (const { name } of graph) {
    if (!columns.some((column) => column.name === name)) {
      throw mismatch(`The graph takes an input "${name}" that the signature does not name`, name);
    }
  }
  return columns.map((column, index) => {
    const input = graph.find(({ name }) => name === column.name);
    if (input === undefined) throw mismatch(`The graph has no input "${column.name}"`, column.name);
    const type = feedType(input);
    checkFit(column, type);
    return { name: input.name, type, tail: (input.shape?.length ?? 2) <= 1 ? [] : [1], columns: [index] };
  });
}

function checkFit(column: InputColumn, type: FeedType): void {
  if (!fits(column, type)) {
    throw mismatch(`Column "${column.name}" is ${column.type} in the signature and ${type} in the graph`, column.name);
  }
  if (column.nullable === true && type !== "float32" && type !== "float64") {
    throw mismatch(`Column "${column.name}" is nullable, and a ${type} tensor has no NaN`, column.name);
  }
}

function encodedValue(column: InputColumn, type: FeedType, value: unknown): number | bigint | string {
  if (type === "string") return String(value);
  const number = column.type === "datetime" ? Date.parse(value as string) : Number(value);
  return type === "int64" ? BigInt(Math.trunc(number)) : number;
}

/** The table as the graph's tensors, in the layout's order. */
export function encode(signature: ModelSignature, layout: readonly GraphInput[], table: Table): Feed[] {
  const width = signature.inputs.length;
  return layout.map((input) => {
    const { columns, type } = input;
    const feed = encoders[type](table.rows * columns.length);
    if (columns.length === width && (type === "float32" || type === "float64")) {
      for (let index = 0; index < feed.length; index++) feed[index] = Number(table.values[index]);
      return feed;
    }
    let at = 0;
    for (let row = 0; row < table.rows; row++) {
      for (const column of columns) {
        feed[at++] = encodedValue(signature.inputs[column] as InputColumn, type, table.values[row * width + column]);
      }
    }
    return feed;
  });
}

/** The feeds of several requests as one. */
export function concatenateFeeds(parts: readonly (readonly Feed[])[]): Feed[] {
  const first = parts[0] ?? [];
  return first.map((sample, index) => {
    const pieces = parts.map((part) => part[index] as Feed);
    if (Array.isArray(sample)) return (pieces as string[][]).flat();
    const joined = new (sample.constructor as new (length: number) => Float32Array)(
      pieces.reduce((sum, piece) => sum + piece.length, 0),
    );
    let at = 0;
    for (const piece of pieces) {
      joined.set(piece as Float32Array, at);
      at += piece.length;
    }
    return joined;
  });
}
