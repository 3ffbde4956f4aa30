import type { DataBuiltin } from "@espalier/core";
import { z } from "zod";
import { duckdbEngine } from "../duckdb-version.ts";

export const gateBuiltin: DataBuiltin = {
  name: "gate",
  version: 1,
  summary:
    "Judges a candidate model against the champion by a policy; its `model` output exists only when the verdict lets it through",
  kind: "data",
  with: z.strictObject({}),
  inputs: {
    candidate: { types: ["model"], required: true },
    /** Absent where the registry has no champion yet. */
    champion: { types: ["model"], required: false },
    data: { types: ["parquet", "file", "tree"], required: false },
    policy: { types: ["file"], required: true },
    /** A plain metrics document of any script, judged by the policy's bounds. */
    metrics: { types: ["value", "file"], required: false },
  },
  outputs: { model: "model", verdict: "value" },
  engine: `${duckdbEngine}, onnxruntime 1.30.0`,
  cacheable: true,
  run: async (context) => (await import("./gate-run.ts")).runGate(context),
};
