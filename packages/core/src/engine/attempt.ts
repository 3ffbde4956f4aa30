import { EspalierError, isEspalierError, toEspalierError } from "../errors.ts";
import type { FailureCause } from "../ir/pipeline.ts";
import type { WorkOrder } from "../ports/staging.ts";
import type { AttemptRow, StepRow } from "../record/engine-record.ts";
import { failpoint } from "./failpoint.ts";
import { judgeOutputs } from "./judge-outputs.ts";
import type { ComputeTarget } from "./options.ts";
import { workOrder } from "./order.ts";
import type { RunContext } from "./run-context.ts";
import { tailLines, toldOutcome } from "./tell-failure.ts";
import type { Unit } from "./unit.ts";
import { abortable, takeEvents, watchAttempt } from "./watch-attempt.ts";

export type AttemptOutcome =
  | { kind: "succeeded"; row: StepRow }
  /** Because somebody asked; `RunContext.stopped` tells how it ends. */
  | { kind: "stopped" }
  /** Not on record yet: whether the step fails with it is for the retry rule to say. */
  | {
      kind: "failed";
      cause: FailureCause | "outputs";
      error: EspalierError;
      exitCode?: number;
      log?: AttemptRow["log"];
    };

/** Drives one attempt on from whatever state it is in to its end. `fresh`: this process has just created it. */
export async function driveAttempt(
  context: RunContext,
  unit: Unit,
  attempt: AttemptRow,
  target: ComputeTarget,
  fresh: boolean,
): Promise<AttemptOutcome> {
  const order = workOrder(context, unit, attempt.id, checkpointName(unit, context));
  try {
    const outcome = await driveStates(context, unit, attempt, target, fresh, order);
    if (outcome.kind !== "succeeded") {
      await finalEvents(context, attempt);
      discard(context, order, false);
    }
    return outcome;
  } catch (error) {
    context.letGo.signal.throwIfAborted();
    const stop = context.stopSignal(attempt);
    if (stop.aborted && error === stop.reason) return { kind: "stopped" };
    return failure(context, order, toEspalierError(error));
  }
}

async function driveStates(
  context: RunContext,
  unit: Unit,
  attempt: AttemptRow,
  target: ComputeTarget,
  fresh: boolean,
  order: WorkOrder,
): Promise<AttemptOutcome> {
  const { writes, run } = context;
  const letGo = context.letGo.signal;
  let { state, handle } = attempt;
  if (state === "created") {
    // Preparing may take minutes (an environment to install). What another process created may run already, and must be seen to its end.
    const stopped = fresh ? AbortSignal.any([letGo, context.stopSignal(attempt)]) : letGo;
    const { sharesFiles, elsewhere = !sharesFiles } = target.runner;
    const prepared = context.options.staging.prepare(order, sharesFiles, { signal: stopped, elsewhere });
    const work = await abortable(prepared, stopped);
    failpoint("attempt-prepared");
    stopped.throwIfAborted();
    if (sharesFiles && !(await claimedHere(context, attempt.id))) throw begunElsewhere(order);
    handle = await target.runner.submit({
      attemptId: attempt.id,
      fresh,
      label: `${unit.label}#${attempt.number}`,
      work,
      resources: order.resources,
      ...(target.image === undefined ? {} : { image: target.image }),
      ...(order.nodes === undefined ? {} : { nodes: order.nodes }),
      graceSeconds: order.graceSeconds,
      ...(order.timeoutSeconds === undefined ? {} : { timeoutSeconds: order.timeoutSeconds }),
    });
    failpoint("attempt-submitted-unrecorded");
    await writes.moveAttempt(attempt.id, run.leaseEpoch, { from: ["created"], to: "submitted" }, { handle });
    failpoint("attempt-submitted");
    state = "submitted";
  } else if (state === "submitted" && !target.runner.sharesFiles) {
    // Another control plane may have submitted it: what its launcher tells from now on must find a place here.
    await abortable(context.options.staging.prepare(order, false, { signal: letGo, elsewhere: true }), letGo);
  }
  if (handle === undefined) throw new EspalierError("INTERNAL", `Attempt ${attempt.id} is ${state} without a handle`);
  let exitCode = attempt.exitCode ?? 0;
  if (state === "submitted") {
    const ended = await watchAttempt(context, target.runner, { ...attempt, handle }, order);
    failpoint("attempt-ended");
    if (ended.status.state !== "exited" || ended.status.exitCode !== 0 || ended.timedOut) {
      return await toldOutcome(context, target.runner, handle, order, ended);
    }
    exitCode = ended.status.exitCode;
    await writes.moveAttempt(attempt.id, run.leaseEpoch, { from: ["submitted"], to: "collecting" }, { exitCode });
    failpoint("attempt-collecting");
  }
  const collected = await abortable(context.options.staging.collect(order), letGo);
  await finalEvents(context, attempt);
  await judgeOutputs(context, unit, attempt.id, collected);
  const { log } = await context.options.staging.closeLog(order, 0);
  failpoint("attempt-collected-unrecorded");
  await writes.moveAttempt(
    attempt.id,
    run.leaseEpoch,
    { from: ["collecting"], to: "succeeded" },
    { exitCode, ...(log ? { log } : {}) },
    { transition: { from: ["running"], to: "succeeded" }, patch: { ...collected } },
  );
  failpoint("attempt-succeeded");
  discard(context, order, true);
  return { kind: "succeeded", row: context.settle({ ...unit.row, ...collected, state: "succeeded" }) };
}

/** Before anything is started: a process that dies right after its step's start leaves the claim, and who takes over sees it. */
async function claimedHere({ options }: RunContext, attemptId: string): Promise<boolean> {
  return options.host === undefined || (await options.record.claimAttempt(attemptId, options.host));
}

/** Retryable, so that it counts as lost. */
function begunElsewhere({ step, attemptId }: WorkOrder): EspalierError {
  return new EspalierError("UNREACHABLE", `Step ${step} may have been begun on another host, which is gone`, {
    at: `steps.${step}`,
    details: { attemptId },
    hint: "`retry: { attempts: 2, causes: [lost] }` has it tried again by itself.",
  });
}

async function failure(context: RunContext, order: WorkOrder, error: EspalierError): Promise<AttemptOutcome> {
  if (context.stopSignal(order).aborted && error.code === "CANCELLED") return { kind: "stopped" };
  let closed: Awaited<ReturnType<RunContext["options"]["staging"]["closeLog"]>> = { tail: "" };
  try {
    closed = await context.options.staging.closeLog(order, tailLines);
  } catch (logError) {
    context.options.onError(logError, { runId: order.runId, doing: `archiving the log of ${order.attemptId}` });
  }
  const shown = new EspalierError(error.code, error.message, {
    cause: error,
    at: error.at ?? `steps.${order.step}`,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    details: { ...error.details, ...(closed.tail === "" ? {} : { logTail: closed.tail }) },
  });
  return {
    kind: "failed",
    // What may pass by itself counts as lost, so that `retry: {causes: [lost]}` covers a tool that was away for a moment.
    cause: error.retryable ? "lost" : "outputs",
    error: shown,
    ...(closed.log ? { log: closed.log } : {}),
  };
}

async function finalEvents(context: RunContext, attempt: AttemptRow): Promise<void> {
  try {
    await takeEvents(context, attempt, await context.options.record.eventOffset(attempt.id));
  } catch (error) {
    if (isEspalierError(error) && error.code === "NOT_FOUND") return;
    throw error;
  }
}

/** In the background: the next step need not wait for a folder to be emptied. */
function discard(context: RunContext, order: WorkOrder, succeeded: boolean): void {
  context.options.staging.discard(order, succeeded).catch((error: unknown) => {
    context.options.onError(error, { runId: order.runId, doing: `removing the folder of ${order.attemptId}` });
  });
}

/** A resumed run finds the checkpoint of the run it continues, provided that the work is the same. */
function checkpointName(unit: Unit, context: RunContext): string {
  const key = unit.row.cacheKey ?? `sha256:${context.rootRunId}`;
  const branch = unit.row.branch < 0 ? "" : `-${unit.row.branch}`;
  return `${context.rootRunId}-${unit.row.step}${branch}-${key.slice(7, 23)}`;
}
