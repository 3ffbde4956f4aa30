import type { DataBuiltin } from "@espalier/core";
import { z } from "zod";

const exportOnnxWithSchema = z.strictObject({
  /** Largest difference that is let through between the model as logged and its graph, relative where a value is above 1. */
  tolerance: z.number().positive().default(1e-4),
  /** Share of rows whose label may differ, as it does where two classes are equally likely. */
  different_labels: z.number().min(0).max(1).default(0),
  /** Rows that both predict, spread evenly over the table. */
  rows: z.int().min(1).max(1_000_000).default(10_000),
});
export type ExportOnnxWith = z.infer<typeof exportOnnxWithSchema>;

export const exportOnnxBuiltin: DataBuiltin = {
  name: "export-onnx",
  version: 1,
  summary: "Exports a model that MLflow logged to ONNX, and compares the predictions of both",
  kind: "data",
  with: exportOnnxWithSchema,
  inputs: { model: { types: ["model"], required: true }, data: { types: ["parquet", "file", "tree"], required: true } },
  outputs: { model: "model", report: "value" },
  environment: true,
  cacheable: true,
  run: async (context) => (await import("./export-onnx-run.ts")).runExportOnnx(context),
};
