import type { ColumnType } from "@espalier/core";

/** The column that holds an element type of ONNX; absent for those that no column has. */
export const columnTypes: Readonly<Record<string, ColumnType>> = {
  float32: "float",
  float64: "double",
  int64: "long",
  int32: "integer",
  bool: "boolean",
  string: "string",
};
