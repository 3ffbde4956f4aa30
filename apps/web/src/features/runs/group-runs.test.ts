import type { Run } from "@espalier/contract";
import { expect, test } from "vitest";
import { parameterNames, rowsOf } from "./group-runs.ts";

const run = (id: string, pipeline: string, params: Run["params"]): Run => ({
  id,
  pipeline,
  params,
  pipelineDigest: "sha256:0",
  stack: "laptop",
  trigger: { kind: "manual", by: "ana" },
  options: {},
  state: "succeeded",
  cancelRequested: false,
  createdAt: 1,
});
const runs = [run("a", "train", { depth: 4 }), run("b", "report", {}), run("c", "train", { depth: 4, rate: 1 })];
const shown = (group: string | undefined) =>
  rowsOf(runs, group).map((row) => (row.kind === "run" ? row.run.id : `${row.name} (${row.count})`));

test("groups stand in the order of their newest run", () => {
  expect(shown(undefined)).toEqual(["a", "b", "c"]);
  expect(shown("pipeline")).toEqual(["train (2)", "a", "c", "report (1)", "b"]);
  expect(shown("params.depth")).toEqual(["depth = 4 (2)", "a", "c", "no depth (1)", "b"]);
});

test("parameters are named once", () => {
  expect(parameterNames(runs)).toEqual(["depth", "rate"]);
});
