import { EspalierError, toEspalierError } from "../errors.ts";
import type { AttemptRow } from "../record/engine-record.ts";
import type { AttemptOutcome } from "./attempt.ts";
import { failpoint } from "./failpoint.ts";
import type { RecordStep, RecordStepResult } from "./options.ts";
import { recordContext } from "./record-context.ts";
import type { RunContext } from "./run-context.ts";
import type { Unit } from "./unit.ts";
import { abortable } from "./watch-attempt.ts";

/**
 * A `record` built-in runs here, in the control plane. After a crash it is simply called again: it is idempotent, and its result goes on
 * record together with the step's end.
 */
export async function driveRecordAttempt(
  context: RunContext,
  unit: Unit,
  attempt: AttemptRow,
  perform: RecordStep,
): Promise<AttemptOutcome> {
  const stopped = AbortSignal.any([context.letGo.signal, context.cancel.signal]);
  let row = unit.row;
  try {
    for (;;) {
      const poked = context.nextPoke();
      const result: RecordStepResult = await abortable(perform(recordContext(context, unit, attempt.id)), stopped);
      if (result.state !== "waiting") {
        failpoint("record-step-done-unrecorded");
        const { outputs, values = {}, reason, state = "succeeded" } = result;
        const patch = { outputs, values, ...(reason === undefined ? {} : { reason }) };
        await context.writes.moveAttempt(
          attempt.id,
          context.run.leaseEpoch,
          { from: ["created", "submitted", "collecting"], to: "succeeded" },
          {},
          { transition: { from: ["running", "waiting"], to: state }, patch },
        );
        return { kind: "succeeded", row: context.settle({ ...row, ...patch, state }) };
      }
      if (row.state !== "waiting" || row.reason !== result.reason) {
        row = await context.moveStep(row, ["running", "waiting"], "waiting", { reason: result.reason });
      }
      await abortable(poked, stopped);
    }
  } catch (error) {
    context.letGo.signal.throwIfAborted();
    if (context.cancel.signal.aborted) return { kind: "stopped" };
    const told = toEspalierError(error);
    return {
      kind: "failed",
      cause: told.retryable ? "lost" : "exit",
      error: new EspalierError(told.code, told.message, {
        cause: error,
        at: told.at ?? `steps.${unit.row.step}`,
        ...(told.hint === undefined ? {} : { hint: told.hint }),
        details: told.details,
      }),
    };
  }
}
