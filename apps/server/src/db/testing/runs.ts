import { randomUUID } from "node:crypto";
import { digestOfJson, type NewRun, type PipelineIr } from "@espalier/core";

export const twoSteps: PipelineIr = {
  ir: 1,
  name: "flights",
  params: { rate: 0.1 },
  steps: { train: { run: "true" }, check: { run: "true", needs: ["train"] } },
};

export function newRun(changes: Partial<NewRun> = {}): NewRun {
  const pipeline = changes.pipeline ?? twoSteps;
  return {
    id: randomUUID(),
    pipeline,
    pipelineDigest: digestOfJson(pipeline),
    params: { rate: 0.1 },
    stack: "laptop",
    trigger: { kind: "manual", by: "ana" },
    options: {},
    resolved: {},
    snapshots: {},
    ...changes,
  };
}
