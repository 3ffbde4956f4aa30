import { randomUUID } from "node:crypto";
import { digestOfJson, type NewRun, type PipelineIr, type StepEvent } from "@espalier/core";
import type { ProjectRecord } from "../record.ts";

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

/** Claims the run and lets one attempt of its step `train` succeed; the attempt's id. */
export async function runAttempt(
  { engine }: Pick<ProjectRecord, "engine">,
  runId: string,
  events: readonly StepEvent[],
): Promise<string> {
  const run = (await engine.claimRuns("test", 600)).find((one) => one.id === runId) ?? (await engine.run(runId));
  const epoch = run?.leaseEpoch ?? 0;
  const step = { runId, step: "train", branch: -1 };
  const id = randomUUID();
  await engine.moveRun(runId, epoch, { from: ["queued"], to: "running" });
  await engine.moveStep(step, epoch, { from: ["pending"], to: "running" }, { cacheKey: digestOfJson(runId) });
  await engine.createAttempt(epoch, { id, ...step, number: 1, tool: "embedded/process" });
  await engine.moveAttempt(id, epoch, { from: ["created"], to: "submitted" });
  await engine.appendStepEvents(id, events, 0, 100);
  const outputs = { model: { type: "model", digest: digestOfJson(`model of ${runId}`), size: 1 } } as const;
  const done = { transition: { from: ["running"], to: "succeeded" }, patch: { outputs } } as const;
  await engine.moveAttempt(id, epoch, { from: ["submitted"], to: "succeeded" }, { exitCode: 0 }, done);
  return id;
}
