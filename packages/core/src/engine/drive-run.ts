import { EspalierError } from "../errors.ts";
import { dependenciesOf } from "../ir/graph.ts";
import { runScope } from "../ir/run-scope.ts";
import type { RunRow, StepRow } from "../record/engine-record.ts";
import type { RunState } from "../record/states.ts";
import { driveStep } from "./drive-step.ts";
import { failpoint } from "./failpoint.ts";
import type { EngineOptions } from "./options.ts";
import { RunContext } from "./run-context.ts";
import type { Slots } from "./slots.ts";

/** Everything stored about a claimed run, ready to be driven on. */
export async function loadRun(
  options: EngineOptions,
  run: RunRow,
  letGo: AbortController,
  slotsOf: (compute: string) => Slots,
): Promise<RunContext> {
  const { record } = options;
  const [steps, attempts] = await Promise.all([record.steps(run.id), record.attempts(run.id)]);
  const { resumes } = run.options;
  const earlier = resumes === undefined ? [] : await record.steps(resumes);
  let root: RunRow = run;
  for (const seen = new Set([run.id]); root.options.resumes !== undefined && !seen.has(root.options.resumes); ) {
    seen.add(root.options.resumes);
    const before = await record.run(root.options.resumes);
    if (!before) break;
    root = before;
  }
  const scope = runScope(run.pipeline, run.options, dependenciesOf(run.pipeline));
  const context = new RunContext(options, run, scope, letGo, slotsOf, {
    steps,
    attempts,
    earlier,
    rootRunId: root.id,
  });
  if (run.cancelRequested) context.cancel.abort();
  return context;
}

/** Drives a run to its end. Rejects with the reason of `letGo` when this process must drop it. */
export async function driveRun(context: RunContext): Promise<RunRow> {
  const { run } = context;
  if (run.state === "queued") {
    await context.writes.moveRun(run.id, run.leaseEpoch, { from: ["queued"], to: "running" });
    failpoint("run-started");
  }
  const dependencies = dependenciesOf(context.pipeline);
  const driven = new Map<string, Promise<StepRow>>();
  // Steps that nothing waits for would otherwise reject unheard when the run is let go.
  const drive = (name: string): Promise<StepRow> => {
    const known = driven.get(name);
    if (known) return known;
    const needed = dependencies.get(name) ?? [];
    const started = Promise.all(needed.map(drive)).then(() => driveStep(context, name, needed));
    driven.set(name, started);
    return started;
  };
  const settled = await Promise.allSettled(Object.keys(context.pipeline.steps).map(drive));
  context.letGo.signal.throwIfAborted();
  const rows = settled.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
  failpoint("run-finishing");
  const { state, error } = verdictOf(context, rows);
  await context.writes.moveRun(
    run.id,
    run.leaseEpoch,
    { from: ["running"], to: state },
    error ? { error: error.toJSON() } : {},
  );
  failpoint("run-finished");
  return { ...run, state, ...(error ? { error: error.toJSON() } : {}) };
}

function verdictOf(
  context: RunContext,
  rows: readonly StepRow[],
): { state: Extract<RunState, "succeeded" | "failed" | "cancelled">; error?: EspalierError } {
  const failed = rows.filter((row) => row.state === "failed");
  const cancelled = rows.some((row) => row.state === "cancelled");
  if (cancelled) return { state: "cancelled", error: new EspalierError("CANCELLED", "The run was cancelled") };
  const [first] = failed;
  if (!first) return { state: "succeeded" };
  const message =
    failed.length === 1
      ? `Step ${first.step} failed: ${first.reason ?? ""}`
      : `${failed.length} steps failed: ${failed.map((row) => row.step).join(", ")}`;
  return {
    state: "failed",
    error: new EspalierError(first.error?.code ?? "STEP_FAILED", message, {
      at: first.error?.at ?? `steps.${first.step}`,
      hint: first.error?.hint ?? `\`espalier resume ${context.run.id}\` goes on from there.`,
      details: { steps: failed.map((row) => row.step) },
    }),
  };
}
