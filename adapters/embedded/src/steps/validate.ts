import type { DataBuiltin } from "@espalier/core";
import { z } from "zod";
import { duckdbEngine } from "../duckdb-version.ts";

export const validateBuiltin: DataBuiltin = {
  name: "validate",
  version: 1,
  summary:
    "Checks a table by a file of rules; rows that break a quarantine rule are set aside, a broken error rule fails the step",
  kind: "data",
  with: z.strictObject({}),
  inputs: {
    data: { types: ["parquet", "file", "tree"], required: true },
    rules: { types: ["file"], required: true },
  },
  /** Tables that `references` rules look up. */
  otherInputs: ["parquet", "file", "tree"],
  outputs: { data: "parquet", quarantine: "parquet", report: "value" },
  engine: duckdbEngine,
  cacheable: true,
  run: async (context) => (await import("./validate-run.ts")).runValidate(context),
};
