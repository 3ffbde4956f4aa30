import { EspalierError, type InputColumn, type ModelSignature } from "@espalier/core";
import type { Tensor } from "onnxruntime-node";
import type { Table } from "./table.ts";

/** Values of one graph input, row-major. */
export type Feed =
  | Float32Array
  | Float64Array
  | Float16Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array
  | string[];

const encoders = {
  float32: (length: number) => new Float32Array(length),
  float64: (length: number) => new Float64Array(length),
  float16: (length: number) => new Float16Array(length),
  int64: (length: number) => new BigInt64Array(length),
  uint64: (length: number) => new BigUint64Array(length),
  int32: (length: number) => new Int32Array(length),
  uint32: (length: number) => new Uint32Array(length),
  int16: (length: number) => new Int16Array(length),
  uint16: (length: number) => new Uint16Array(length),
  int8: (length: number) => new Int8Array(length),
  uint8: (length: number) => new Uint8Array(length),
  bool: (length: number) => new Uint8Array(length),
  string: (length: number) => new Array<string>(length),
} as const;
export type FeedType = keyof typeof encoders;

const realTypes: readonly FeedType[] = ["float32", "float64", "float16"];
const bigTypes: readonly FeedType[] = ["int64", "uint64"];

/** Smallest and largest value of the integer tensors that a request's 32 and 64-bit columns may not fit into. */
const integerRanges: Partial<Record<FeedType, readonly [number | bigint, number | bigint]>> = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
  int16: [-(2 ** 15), 2 ** 15 - 1],
  uint16: [0, 2 ** 16 - 1],
  int8: [-128, 127],
  uint8: [0, 255],
  uint64: [0n, 2n ** 64n - 1n],
};

/** From here on a number becomes an infinity when it is rounded to the type; 64 bits hold all that a request can. */
const infiniteFrom: Partial<Record<FeedType, number>> = { float32: 3.4028235677973366e38, float16: 65520 };

export interface GraphInput {
  name: string;
  type: FeedType;
  /** Dimensions after the rows. */
  tail: number[];
  /** The columns of the table that make it, by index. */
  columns: number[];
  /** All columns in their order, all plain numbers for a tensor of reals: nothing to look up for each value. */
  plain?: boolean;
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
  if (column.type === "datetime") return type === "string" || type === "int64" || type === "float64";
  return type !== "string";
}

/** How the graph's inputs are made of the signature's columns. Errors: SIGNATURE_MISMATCH, UNSUPPORTED. */
export function layoutOf(signature: ModelSignature, graph: readonly TensorMetadata[]): GraphInput[] {
  const columns = signature.inputs;
  const only = graph.length === 1 ? graph[0] : undefined;
  const isTensor = columns.some(({ shape }) => shape !== undefined);
  const matrix = only !== undefined && !isTensor && !(columns.length === 1 && columns[0]?.name === only.name);
  if (only !== undefined && matrix) return [matrixInput(columns, only)];
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
    return {
      name: input.name,
      type,
      tail: column.shape === undefined ? scalarTail(input) : tensorTail(column, input),
      columns: [index],
    };
  });
}

/** One tensor of all columns: `[rows, columns]`. */
function matrixInput(columns: readonly InputColumn[], only: TensorMetadata): GraphInput {
  const type = feedType(only);
  const width = only.shape?.[1];
  if (typeof width === "number" && width > 0 && width !== columns.length) {
    throw mismatch(`The graph takes ${width} columns, the signature names ${columns.length}`, only.name);
  }
  if ((only.shape?.length ?? 2) > 2) {
    throw mismatch(`The graph takes a tensor of shape [${only.shape}], which is no matrix of columns`, only.name);
  }
  for (const column of columns) checkFit(column, type);
  const plain = realTypes.includes(type) && columns.every((column) => column.type !== "datetime");
  return { name: only.name, type, tail: [columns.length], columns: columns.map((_, index) => index), plain };
}

function scalarTail({ name, shape }: TensorMetadata): number[] {
  if (shape === undefined) return [1];
  const tail = shape.slice(1);
  if (tail.every((size) => typeof size !== "number" || size === 1)) return tail.map(() => 1);
  throw mismatch(`The graph takes [${tail}] values of "${name}" a row, and the signature says one`, name);
}

/** The signature's shape, where the graph does not contradict it. */
function tensorTail({ name, shape = [] }: InputColumn, graph: TensorMetadata): number[] {
  const tail = graph.shape?.slice(1);
  const agrees =
    tail === undefined ||
    (tail.length === shape.length && tail.every((size, at) => typeof size !== "number" || size === shape[at]));
  if (agrees) return [...shape];
  throw mismatch(`The signature says [${shape}] for "${name}", the graph takes [${tail}]`, name);
}

function checkFit(column: InputColumn, type: FeedType): void {
  if (!fits(column, type)) {
    throw mismatch(`Column "${column.name}" is ${column.type} in the signature and ${type} in the graph`, column.name);
  }
  if (column.nullable === true && !realTypes.includes(type)) {
    throw mismatch(`Column "${column.name}" is nullable, and a ${type} tensor has no NaN`, column.name);
  }
}

function encodedValue(column: InputColumn, type: FeedType, value: unknown): number | bigint | string {
  if (type === "string") return String(value);
  if (typeof value === "bigint") return checkedRange(column, type, bigTypes.includes(type) ? value : Number(value));
  const number = column.type === "datetime" ? Date.parse(value as string) : Number(value);
  if (realTypes.includes(type) || type === "bool") {
    if (Math.abs(number) >= (infiniteFrom[type] ?? Number.POSITIVE_INFINITY)) throw noFit(column, type, number);
    return number;
  }
  const whole = Math.trunc(number);
  return checkedRange(column, type, bigTypes.includes(type) ? BigInt(whole) : whole);
}

/** A typed array would wrap what it can not hold, and the model would see another number. */
function checkedRange(column: InputColumn, type: FeedType, value: number | bigint): number | bigint {
  const range = integerRanges[type];
  if (range === undefined || (value >= range[0] && value <= range[1])) return value;
  throw noFit(column, type, value);
}

function noFit(column: InputColumn, type: FeedType, value: number | bigint): EspalierError {
  return new EspalierError(
    "INVALID_INPUT",
    `column "${column.name}": ${value} does not fit into ${type}, which the model takes`,
    {
      at: column.name,
      details: { column: column.name },
    },
  );
}

/** The table as the graph's tensors, in the layout's order. Errors: INVALID_INPUT for a number that the graph's tensor can not hold. */
export function encode(signature: ModelSignature, layout: readonly GraphInput[], table: Table): Feed[] {
  const width = signature.inputs.length;
  const { rows, values } = table;
  return layout.map((input) => {
    const { columns, type, tail, plain = false } = input;
    // A matrix that came in binary form is what the graph takes already.
    if (plain && type === "float32" && values instanceof Float32Array) return values;
    if (plain && type === "float64" && values instanceof Float64Array) return values;
    const size = tail.reduce((product, length) => product * length, 1);
    const feed = encoders[type](rows * size);
    if (plain) {
      const limit = infiniteFrom[type] ?? Number.POSITIVE_INFINITY;
      for (let index = 0; index < feed.length; index++) {
        const value = Number(values[index]);
        if (Math.abs(value) >= limit) throw noFit(signature.inputs[index % width] as InputColumn, type, value);
        feed[index] = value;
      }
      return feed;
    }
    let at = 0;
    for (let row = 0; row < rows; row++) {
      for (const index of columns) {
        const column = signature.inputs[index] as InputColumn;
        const cell = values[row * width + index];
        if (column.shape === undefined) feed[at++] = encodedValue(column, type, cell);
        else for (const value of Array.from(cell as ArrayLike<unknown>)) feed[at++] = encodedValue(column, type, value);
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
