import { isEspalierError } from "../errors.ts";
import type { StepRunner, StepStatus } from "../ports/step-runner.ts";
import type { AttemptRow } from "../record/engine-record.ts";
import type { RunContext } from "./run-context.ts";

export interface Ended {
  status: Extract<StepStatus, { state: "exited" | "cancelled" | "lost" }>;
  timedOut: boolean;
}

const pollMilliseconds = 2_000;
const eventMilliseconds = 1_000;
/** Exit code of the launcher when it could not do its own work. */
const launcherFailed = 70;

/**
 * Waits for an attempt's end, stops it on cancellation and at its timeout, and copies its events meanwhile. Rejects with LetGo's reason
 * when this process must drop the run; the step itself then goes on.
 */
export async function watchAttempt(
  context: RunContext,
  runner: StepRunner,
  attempt: AttemptRow & { handle: string },
  limits: { timeoutSeconds?: number; graceSeconds: number; nodes?: number },
): Promise<Ended> {
  const { clock } = context.options;
  const over = new AbortController();
  const letGo = context.letGo.signal;
  let timedOut = false;
  const stopStep = async (): Promise<void> => {
    // A tool that does not answer is asked again: a cancellation must not be forgotten.
    for (let wait = 1_000; !over.signal.aborted && !letGo.aborted; wait = Math.min(wait * 2, 30_000)) {
      try {
        return await runner.cancel(attempt.handle, limits.graceSeconds);
      } catch (error) {
        context.options.onError(error, { runId: context.run.id, doing: `cancelling ${attempt.id}` });
        await clock.delay(wait, AbortSignal.any([over.signal, letGo])).catch(() => undefined);
      }
    }
  };
  const onCancel = (): void => void stopStep();
  const stop = context.stopSignal(attempt);
  stop.addEventListener("abort", onCancel, { once: true });
  if (stop.aborted) onCancel();
  const deadline = async (): Promise<void> => {
    if (limits.timeoutSeconds === undefined) return;
    const startedAt = attempt.startedAt ?? attempt.createdAt;
    const left = startedAt + limits.timeoutSeconds * 1_000 - clock.now();
    try {
      await clock.delay(Math.max(0, left), AbortSignal.any([over.signal, letGo]));
    } catch {
      return;
    }
    timedOut = true;
    await stopStep();
  };
  const background = [deadline(), pumpEvents(context, attempt, over.signal)];
  try {
    const status = await untilEnded(context, runner, attempt.id, attempt.handle, (limits.nodes ?? 1) > 1);
    return { status, timedOut };
  } finally {
    over.abort();
    stop.removeEventListener("abort", onCancel);
    await Promise.all(background);
  }
}

async function untilEnded(
  context: RunContext,
  runner: StepRunner,
  attemptId: string,
  handle: string,
  isGang: boolean,
): Promise<Ended["status"]> {
  const signal = context.letGo.signal;
  for (let wait = pollMilliseconds; ; wait = Math.min(wait * 2, 30_000)) {
    signal.throwIfAborted();
    try {
      const status = runner.wait
        ? await abortable(runner.wait(handle, { signal }), signal)
        : await runner.status(handle, { signal });
      if (status.state !== "pending" && status.state !== "running")
        return await heardStatus(context, attemptId, status, isGang);
      wait = pollMilliseconds;
    } catch (error) {
      signal.throwIfAborted();
      // Not knowing is not an end: while the tool does not answer, the attempt may well be running.
      if (!isEspalierError(error) || !error.retryable) throw error;
      context.options.onError(error, { runId: context.run.id, doing: `asking for ${handle}` });
    }
    await context.options.clock.delay(wait, signal);
  }
}

/**
 * A tool may lose an attempt that told its end before, and of a launcher that gave up it knows only the exit code, not the reason. The word of a gang is that of its first
 * member: it may have ended well while the tool lost another, or have been stopped because another's launcher gave up.
 */
async function heardStatus(
  context: RunContext,
  attemptId: string,
  told: Ended["status"],
  isGang: boolean,
): Promise<Ended["status"]> {
  const gaveUp = told.state === "exited" && told.exitCode === launcherFailed;
  const knowsLess = gaveUp || (!isGang && told.state === "lost" && told.cause === undefined);
  const word = knowsLess ? await context.options.staging.lastWord?.(attemptId) : undefined;
  if (word === undefined || word.state === "pending" || word.state === "running") return told;
  return isGang && word.state !== "lost" ? told : word;
}

/** Lets go at once even if the runner is slow to notice the signal. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  // When the race is lost, or was over before it began, a later rejection has nobody else to hear it.
  promise.catch(() => undefined);
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

async function pumpEvents(context: RunContext, attempt: AttemptRow, over: AbortSignal): Promise<void> {
  const signal = AbortSignal.any([over, context.letGo.signal]);
  let offset: number | undefined;
  while (!signal.aborted) {
    try {
      await context.options.clock.delay(eventMilliseconds, signal);
    } catch {
      return;
    }
    try {
      offset ??= await context.options.record.eventOffset(attempt.id);
      offset = await takeEvents(context, attempt, offset);
    } catch (error) {
      context.options.onError(error, { runId: context.run.id, doing: `reading events of ${attempt.id}` });
    }
  }
}

/** Copies what the event file has from `offset` on into the record; gives the offset to go on from. */
export async function takeEvents(
  context: RunContext,
  { id, step }: Pick<AttemptRow, "id" | "step">,
  from: number,
): Promise<number> {
  const secrets = context.pipeline.steps[step]?.secrets ?? [];
  for (let offset = from; ; ) {
    context.letGo.signal.throwIfAborted();
    const { events, next } = await context.options.staging.readEvents(id, offset, secrets);
    if (next <= offset) return offset;
    await context.options.record.appendStepEvents(id, events, offset, next);
    offset = next;
  }
}
