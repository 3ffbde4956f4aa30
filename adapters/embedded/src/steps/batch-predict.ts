import type { DataBuiltin } from "@espalier/core";
import { z } from "zod";
import { duckdbEngine } from "../duckdb-version.ts";

const batchPredictWithSchema = z.strictObject({
  /** Columns of the data that go along with the predictions. */
  keep: z.array(z.string()).max(1000).default([]),
  /** The column whose values name the predictions. Left out: ids of the file's content and the row's number; false: no ids. */
  prediction_id: z.union([z.string().min(1), z.literal(false)]).optional(),
  /** Beside `score`, outputs of the graph by name; an output of several values a row becomes `name_0`, `name_1`, ... */
  outputs: z.union([z.literal("all"), z.array(z.string().min(1)).max(100)]).default([]),
  /** Adds the column `label`: whether the score is at or above it. */
  threshold: z.number().optional(),
  /** Folders `name=value`: a name among the step's `params` is the run's value, any other a column of the data. */
  partition_by: z.array(z.string().min(1)).max(5).default([]),
  /** A value that the model does not take fails the step, or sets its row aside in `rejects`. */
  on_bad_row: z.enum(["fail", "skip"]).default("fail"),
  /** Rows of a part, about: what is predicted again when the step is killed. Parts end with row groups. */
  part_rows: z.int().min(1).max(100_000_000).default(1_000_000),
  /** Rows of one call of the model. */
  batch_rows: z.int().min(1).max(1_000_000).default(8192),
  /** Become the columns `model_name` and `model_version`. */
  model_name: z.string().min(1).optional(),
  model_version: z.string().min(1).optional(),
});
export type BatchPredictWith = z.infer<typeof batchPredictWithSchema>;

export const batchPredictBuiltin: DataBuiltin = {
  name: "batch-predict",
  version: 1,
  summary: "Predicts every row of files that may be larger than memory; a step that is killed goes on where it was",
  kind: "data",
  with: batchPredictWithSchema,
  inputs: { model: { types: ["model"], required: true }, data: { types: ["parquet", "file", "tree"], required: true } },
  outputs: { predictions: "tree", rejects: "parquet", report: "value" },
  engine: `${duckdbEngine}, onnxruntime 1.30.0`,
  cacheable: true,
  checkpoint: true,
  run: async (context) => (await import("./batch-predict-run.ts")).runBatchPredict(context),
};
