import type { DataBuiltin } from "@espalier/core";
import { z } from "zod";
import { duckdbEngine } from "../duckdb-version.ts";

export const sqlBuiltin: DataBuiltin = {
  name: "sql",
  version: 1,
  summary:
    "Runs a SQL script over its inputs (views named as the inputs); each output is a table or view that the script creates",
  kind: "data",
  with: z.strictObject({}),
  inputs: { script: { types: ["file"], required: true } },
  otherInputs: ["parquet", "file", "tree"],
  outputs: {},
  /** A `file` is written as CSV, which scripts in any language can read. */
  otherOutputs: ["parquet", "file"],
  engine: duckdbEngine,
  cacheable: true,
  run: async (context) => (await import("./sql-run.ts")).runSql(context),
};
