import { z } from "zod";

/** Column types, named as in MLflow's ColSpec. */
export const columnTypeSchema = z.enum(["boolean", "integer", "long", "float", "double", "string", "datetime"]);
export type ColumnType = z.infer<typeof columnTypeSchema>;

/** Element type of a column in the Open Inference Protocol V2. */
export const columnDatatype: Readonly<Record<ColumnType, string>> = {
  boolean: "BOOL",
  integer: "INT32",
  long: "INT64",
  float: "FP32",
  double: "FP64",
  string: "BYTES",
  datetime: "BYTES",
};

export const inputColumnSchema = z.strictObject({
  name: z.string(),
  type: columnTypeSchema,
  /** true: a request may leave the value null or NaN, which the graph sees as NaN. Only float and double columns. */
  nullable: z.boolean().optional(),
  /** For a tensor a row: its dimensions without the row. A cell is then the flat, row-major list of its elements. */
  shape: z.array(z.int().positive()).min(1).optional(),
});
export type InputColumn = z.infer<typeof inputColumnSchema>;

/**
 * `signature.json` of a model folder `{payload, signature.json}`. An ONNX graph takes either one float matrix `[rows, columns]`, its columns
 * in the order of `inputs`, or one tensor a column under the column's name.
 */
export const modelSignatureSchema = z.strictObject({
  format: z.enum(["onnx", "mlflow"]),
  /** File (onnx) or folder (mlflow) beside signature.json. */
  payload: z.string(),
  inputs: z.array(inputColumnSchema).min(1),
  /** `shape` without the row dimension. */
  outputs: z
    .array(z.strictObject({ name: z.string(), type: columnTypeSchema, shape: z.array(z.int()).optional() }))
    .min(1),
  /** The output (and its column) that is the score: for a binary task the probability of the positive class. */
  score: z.strictObject({ output: z.string(), index: z.int().nonnegative().optional() }).optional(),
});
export type ModelSignature = z.infer<typeof modelSignatureSchema>;
