import { defineStep } from "@espalier/core";
import { type Row, readRows, writeRows } from "./csv.ts";
import { featureNames } from "./features.ts";

const columns = ["day", "hour", ...featureNames, "late"];
const shape = { ...Object.fromEntries(columns.map((column) => [column, "number"] as const)), day: "string" } as const;

/** By time, as the model will be used: it is trained on earlier days and judged on later ones. */
export const split = defineStep(
  import.meta.url,
  {
    inputs: { rows: "file" },
    outputs: {
      train: { type: "file", determinism: "exact" },
      test: { type: "file", determinism: "exact" },
      counts: { type: "value", determinism: "exact" },
    },
    params: { test_from: "string" },
  },
  async ({ inputs, outputs, params }) => {
    const parts: { train: Row[]; test: Row[] } = { train: [], test: [] };
    for await (const row of readRows(inputs.rows, shape)) {
      parts[row.day < params.test_from ? "train" : "test"].push(row);
    }
    await writeRows(outputs.train, columns, parts.train);
    await writeRows(outputs.test, columns, parts.test);
    return { counts: { train: parts.train.length, test: parts.test.length } };
  },
);
