import type { DataBuiltin } from "@espalier/core";
import { z } from "zod";
import { duckdbEngine } from "../duckdb-version.ts";

const evaluateWithSchema = z.strictObject({
  target: z.string(),
  task: z.enum(["binary", "regression"]),
  /** Columns whose values are reported one by one. */
  slices: z.array(z.string()).max(20).default([]),
  /** Copied to the predictions, for plots over time and block-wise intervals. */
  time: z.string().optional(),
  block: z.string().optional(),
  /** Scores at or above it count as positive. */
  threshold: z.number().min(0).max(1).default(0.5),
  /** Rows for permutation importance, spread evenly; 0 leaves it out. Each column is predicted `importance_repeats` times. */
  importance_rows: z.int().min(0).max(100_000).default(2000),
  importance_repeats: z.int().min(1).max(100).default(5),
  seed: z.int().default(1),
});
export type EvaluateWith = z.infer<typeof evaluateWithSchema>;

export const evaluateBuiltin: DataBuiltin = {
  name: "evaluate",
  version: 2,
  summary: "Scores a model on a table: metrics, calibration, slices, permutation importance, and the predictions",
  kind: "data",
  with: evaluateWithSchema,
  inputs: { model: { types: ["model"], required: true }, data: { types: ["parquet", "file", "tree"], required: true } },
  outputs: { report: "value", predictions: "parquet" },
  engine: `${duckdbEngine}, onnxruntime 1.30.0`,
  cacheable: true,
  run: async (context) => (await import("./evaluate-run.ts")).runEvaluate(context),
};
