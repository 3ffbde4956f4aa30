import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { defineStep } from "@espalier/core";
import { readRows } from "./csv.ts";
import { featureNames } from "./features.ts";
import { fitLogisticRegression } from "./logistic-regression.ts";
import { logisticModel } from "./onnx.ts";

const shape = Object.fromEntries([...featureNames, "late"].map((column) => [column, "number"] as const));

/** There is no chance in it, so that the same rows give the same bytes. */
export const train = defineStep(
  import.meta.url,
  {
    inputs: { rows: "file" },
    outputs: { model: { type: "model", determinism: "exact" } },
    params: { penalty: "number" },
  },
  async ({ inputs, outputs, params, emit, signal }) => {
    const rows: number[][] = [];
    const late: number[] = [];
    for await (const row of readRows(inputs.rows, shape)) {
      rows.push(featureNames.map((name) => row[name] ?? 0));
      late.push(row.late ?? 0);
    }
    const model = fitLogisticRegression(rows, late, {
      penalty: params.penalty,
      onIteration(step, logLoss) {
        signal.throwIfAborted();
        emit({ type: "metric", key: "train.log_loss", value: logLoss, step });
      },
    });
    await mkdir(outputs.model, { recursive: true });
    await writeFile(join(outputs.model, "model.onnx"), logisticModel(model.weights, model.bias));
    const signature = {
      format: "onnx",
      payload: "model.onnx",
      inputs: featureNames.map((name) => ({ name, type: "double" })),
      outputs: [{ name: "probability", type: "float", shape: [1] }],
      score: { output: "probability", index: 0 },
    };
    await writeFile(join(outputs.model, "signature.json"), `${JSON.stringify(signature, undefined, 2)}\n`);
  },
);
