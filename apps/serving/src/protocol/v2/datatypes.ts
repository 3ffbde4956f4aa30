import type { ColumnType } from "@espalier/core";

/** Element types of the Open Inference Protocol V2, and how they stand to a signature's columns and to ONNX's types. */

const integers = ["INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"];
export const numericDatatypes: readonly string[] = [...integers, "FP16", "BF16", "FP32", "FP64"];

/** Which datatypes may carry a column; every value is checked against the column's type besides. */
export const acceptedDatatypes: Record<ColumnType, readonly string[]> = {
  boolean: ["BOOL"],
  integer: integers,
  long: integers,
  float: numericDatatypes,
  double: numericDatatypes,
  string: ["BYTES"],
  datetime: ["BYTES"],
};

/** For look-ups by what callers send: without the members that every object has, such as `constructor`. */
export function byName<Value>(entries: Readonly<Record<string, Value>>): Readonly<Record<string, Value>> {
  return Object.assign(Object.create(null), entries);
}

/** Bytes of one element in a binary tensor. BYTES elements have lengths of their own. */
export const elementBytes = byName<number>({
  BOOL: 1,
  INT8: 1,
  UINT8: 1,
  INT16: 2,
  UINT16: 2,
  FP16: 2,
  BF16: 2,
  INT32: 4,
  UINT32: 4,
  FP32: 4,
  INT64: 8,
  UINT64: 8,
  FP64: 8,
});

const tensorDatatypes: Readonly<Record<string, string>> = {
  float16: "FP16",
  float32: "FP32",
  float64: "FP64",
  int8: "INT8",
  uint8: "UINT8",
  int16: "INT16",
  uint16: "UINT16",
  int32: "INT32",
  uint32: "UINT32",
  int64: "INT64",
  uint64: "UINT64",
  bool: "BOOL",
  string: "BYTES",
};

/** V2's name of an output's ONNX element type. What V2 has no name for is sent as FP64, whose values JSON carries anyway. */
export function outputDatatype(type: string): string {
  return tensorDatatypes[type] ?? "FP64";
}

/** Whole numbers that an integer datatype can hold; absent for datatypes that are not integers. */
export const integerRange = byName<readonly [minimum: bigint, maximum: bigint]>(
  Object.fromEntries(
    [8n, 16n, 32n, 64n].flatMap((bits) => [
      [`INT${bits}`, [-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n] as const],
      [`UINT${bits}`, [0n, 2n ** bits - 1n] as const],
    ]),
  ),
);
