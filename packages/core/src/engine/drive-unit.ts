import { EspalierError, toEspalierError } from "../errors.ts";
import type { AttemptRow, CachedResult, StepRow, StoredError, TrialValues } from "../record/engine-record.ts";
import { type AttemptState, terminalAttemptStates } from "../record/states.ts";
import { type AttemptOutcome, driveAttempt } from "./attempt.ts";
import { failpoint } from "./failpoint.ts";
import type { ComputeTarget, RecordStep } from "./options.ts";
import { driveRecordAttempt } from "./record-step.ts";
import { findReusable, prunedBefore } from "./reuse.ts";
import type { RunContext } from "./run-context.ts";
import { resolveUnit, type Unit } from "./unit.ts";
import { unitKey } from "./unit-key.ts";

/** Brings one step, or one branch of a mapped step, to a terminal state. Rejects only when the run is to be let go. */
export async function driveUnit(context: RunContext, row: StepRow): Promise<StepRow> {
  try {
    return await tryUnit(context, row);
  } catch (error) {
    context.letGo.signal.throwIfAborted();
    const current = context.row(row.step, row.branch);
    await closeAttempts(context, current, toEspalierError(error).message);
    const stopped = context.stopped(row);
    if (stopped) return await context.moveStep(current, open, stopped.state, reasonOf(stopped));
    return await context.moveStep(current, open, "failed", stored(toEspalierError(error)));
  }
}

/** A step that fails without its attempt being asked (its tool is no longer configured) must not leave the attempt open for ever. */
async function closeAttempts(context: RunContext, row: StepRow, message: string): Promise<void> {
  if (row.state === "pending") return;
  const attempts = await context.options.record.attempts(row.runId);
  for (const attempt of attempts) {
    if (attempt.step !== row.step || attempt.branch !== row.branch || isOver(attempt.state)) continue;
    const transition = { from: openAttempt, to: "lost" as const };
    await context.writes.moveAttempt(attempt.id, context.run.leaseEpoch, transition, { cause: "lost", message });
  }
}

const open = ["pending", "waiting", "running"] as const;

async function tryUnit(context: RunContext, initial: StepRow): Promise<StepRow> {
  let unit = resolveUnit(context, initial);
  const begun = context.attempts(initial.step, initial.branch);
  if (initial.state === "pending" || (initial.state === "waiting" && begun.length === 0)) {
    const key = unitKey(context, unit);
    const reused = await findReusable(context, unit, key);
    if (reused) return await moveToCached(context, initial, reused, key);
    const pruned = await prunedBefore(context, initial, key);
    if (pruned) return await context.moveStep(initial, open, "pruned", { ...key, ...pruned });
    const { recordStep, target, release } = await placeFor(context, unit);
    try {
      const running = await context.moveStep(context.row(initial.step, initial.branch), open, "running", key);
      failpoint("step-started");
      unit = { ...unit, row: running };
      return await driveAttempts(context, unit, recordStep, target, []);
    } finally {
      release();
    }
  }
  // Adopted: what runs already holds a place whatever the limit, and a look at the cache would come too late.
  const { recordStep, target, release } = await placeFor(context, unit, begun.length > 0);
  try {
    return await driveAttempts(context, unit, recordStep, target, begun);
  } finally {
    release();
  }
}

async function moveToCached(
  context: RunContext,
  row: StepRow,
  found: CachedResult & { reason?: string },
  key: Pick<StepRow, "cacheKey" | "keyParts">,
): Promise<StepRow> {
  const { attemptId, outputs, values, reason } = found;
  const patch = { ...key, outputs, values, cachedFrom: attemptId, ...(reason === undefined ? {} : { reason }) };
  const cached = await context.moveStep(row, ["pending", "waiting"], "cached", patch);
  failpoint("step-cached");
  return cached;
}

interface Place {
  recordStep?: RecordStep;
  target?: ComputeTarget;
  release: () => void;
}

async function placeFor(context: RunContext, unit: Unit, adopted = false): Promise<Place> {
  if (unit.builtin?.kind === "record") {
    const recordStep = context.options.recordSteps[unit.builtin.name];
    if (!recordStep) {
      throw new EspalierError("INTERNAL", `Nothing performs the built-in step ${unit.builtin.name}`, {
        at: `steps.${unit.row.step}.uses`,
      });
    }
    return { recordStep, release: () => undefined };
  }
  const target = await context.options.runnerFor(unit.step, context.run);
  const slots = context.slotsOf(target.name);
  const release = adopted
    ? slots.takeAnyway()
    : await slots.take(target.limit, AbortSignal.any([context.letGo.signal, context.stopSignal(unit.row)]));
  return { target, release };
}

async function driveAttempts(
  context: RunContext,
  unit: Unit,
  recordStep: RecordStep | undefined,
  target: ComputeTarget | undefined,
  begun: readonly AttemptRow[],
): Promise<StepRow> {
  let last = begun.at(-1);
  for (;;) {
    let attempt = last;
    const fresh = attempt === undefined || isOver(attempt.state);
    if (attempt === undefined || isOver(attempt.state)) {
      const stopped = context.stopped(unit.row);
      if (stopped) return await context.moveStep(unit.row, open, stopped.state, reasonOf(stopped));
      attempt = await createAttempt(context, unit, (last?.number ?? 0) + 1, target?.tool ?? "embedded/record");
    }
    const outcome = recordStep
      ? await driveRecordAttempt(context, unit, attempt, recordStep)
      : target
        ? await driveAttempt(context, unit, attempt, target, fresh)
        : undefined;
    if (outcome === undefined) throw new EspalierError("INTERNAL", `Step ${unit.row.step} has nowhere to run`);
    if (outcome.kind === "succeeded") return outcome.row;
    const row = context.row(unit.row.step, unit.row.branch);
    if (outcome.kind === "stopped") {
      const { state, reason } = context.stopped(row) ?? { state: "cancelled" as const };
      const told = reason === undefined ? {} : { message: reason };
      return await endAttempt(context, row, attempt, state, told, reason === undefined ? {} : { reason });
    }
    const delay = retryDelay(unit, attempt, outcome);
    const patch = {
      cause: outcome.cause,
      message: outcome.error.message,
      ...(outcome.exitCode === undefined ? {} : { exitCode: outcome.exitCode }),
      ...(outcome.log ? { log: outcome.log } : {}),
    };
    const to = outcome.cause === "lost" ? "lost" : "failed";
    if (delay === undefined || context.stopSignal(row).aborted) {
      const failed = await endAttempt(context, row, attempt, to, patch, stored(outcome.error));
      failpoint("attempt-failed");
      return failed;
    }
    await context.writes.moveAttempt(attempt.id, context.run.leaseEpoch, { from: openAttempt, to }, patch);
    failpoint("attempt-failed");
    last = { ...attempt, state: to };
    const stop = AbortSignal.any([context.letGo.signal, context.stopSignal(row)]);
    await context.options.clock.delay(delay * 1_000, stop);
  }
}

const openAttempt: readonly AttemptState[] = ["created", "submitted", "collecting"];
const isOver = (state: AttemptState): boolean => terminalAttemptStates.includes(state);

async function createAttempt(context: RunContext, unit: Unit, number: number, tool: string): Promise<AttemptRow> {
  const { runId, step, branch } = unit.row;
  const attempt = { id: context.options.newId(), runId, step, branch, number, tool };
  const trial = unit.step.tune === undefined ? undefined : (unit.row.item as TrialValues | undefined);
  await context.writes.createAttempt(context.run.leaseEpoch, { ...attempt, ...(trial === undefined ? {} : { trial }) });
  failpoint("attempt-created");
  return { ...attempt, state: "created", createdAt: context.options.clock.now() };
}

async function endAttempt(
  context: RunContext,
  row: StepRow,
  attempt: AttemptRow,
  to: "failed" | "pruned" | "cancelled" | "lost",
  patch: Partial<Pick<AttemptRow, "cause" | "exitCode" | "message" | "log">>,
  stepPatch: Partial<Pick<StepRow, "reason" | "error">>,
): Promise<StepRow> {
  const stepTo = to === "lost" ? "failed" : to;
  await context.writes.moveAttempt(attempt.id, context.run.leaseEpoch, { from: openAttempt, to }, patch, {
    transition: { from: ["running", "waiting"], to: stepTo },
    patch: stepPatch,
  });
  return context.settle({ ...row, ...stepPatch, state: stepTo });
}

const reasonOf = ({ reason }: { reason?: string }): { reason?: string } => (reason === undefined ? {} : { reason });

/** Seconds until the next try; undefined when there is none. */
function retryDelay(
  unit: Unit,
  attempt: AttemptRow,
  outcome: Extract<AttemptOutcome, { kind: "failed" }>,
): number | undefined {
  const { attempts = 1, causes = ["exit", "lost", "timeout"], delaySeconds = 0, backoff = 2 } = unit.step.retry ?? {};
  if (attempt.number >= attempts) return undefined;
  if (outcome.cause === "outputs" || !causes.includes(outcome.cause)) return undefined;
  return delaySeconds * backoff ** (attempt.number - 1);
}

const stored = (error: EspalierError): { reason: string; error: StoredError } => ({
  reason: error.message,
  error: error.toJSON(),
});
