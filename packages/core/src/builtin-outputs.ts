import type { ArtifactType } from "./ir/pipeline.ts";

/** Outputs of the built-in steps by name, so that the compiler knows `validate.outputs.data`; tested against the declarations. */
export const builtinOutputs = {
  dataset: { dataset: "parquet", version: "value" },
  validate: { data: "parquet", quarantine: "parquet", report: "value" },
  sql: {},
  evaluate: { report: "value", predictions: "parquet" },
  "batch-predict": { predictions: "tree", rejects: "parquet", report: "value" },
  "export-onnx": { model: "model", report: "value" },
  gate: { model: "model", verdict: "value" },
  "replace-partitions": { dataset: "tree", version: "value" },
  register: { version: "value" },
  package: { image: "value" },
  deploy: { deployment: "value" },
  approve: { decision: "value" },
} as const satisfies Readonly<Record<string, Readonly<Record<string, ArtifactType>>>>;

export type BuiltinName = keyof typeof builtinOutputs;
