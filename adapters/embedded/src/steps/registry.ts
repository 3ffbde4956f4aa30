import type { DataBuiltin } from "@espalier/core";
import { batchPredictBuiltin } from "./batch-predict.ts";
import { evaluateBuiltin } from "./evaluate.ts";
import { exportOnnxBuiltin } from "./export-onnx.ts";
import { gateBuiltin } from "./gate.ts";
import { sqlBuiltin } from "./sql.ts";
import { validateBuiltin } from "./validate.ts";

/** The data built-ins. Their `run` is loaded on use, so that reading declarations loads neither DuckDB nor onnxruntime. */
export const dataBuiltins: readonly DataBuiltin[] = [
  validateBuiltin,
  sqlBuiltin,
  evaluateBuiltin,
  gateBuiltin,
  batchPredictBuiltin,
  exportOnnxBuiltin,
];
