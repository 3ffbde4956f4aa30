import type { RecordStepContext } from "./options.ts";
import type { RunContext } from "./run-context.ts";
import { settledSteps, type Unit } from "./unit.ts";

export function recordContext(context: RunContext, unit: Unit, attemptId: string): RecordStepContext {
  let told = 0;
  return {
    run: context.run,
    step: unit.row.step,
    branch: unit.row.branch,
    attemptId,
    stepIr: unit.step,
    inputs: unit.inputs,
    steps: settledSteps(context),
    params: unit.params,
    with: unit.step.with ?? {},
    emit: async (event) => {
      // Record steps have no event file: the offset counts events, so that a call repeated after a crash doubles none.
      told += 1;
      await context.options.record.appendStepEvents(attemptId, [event], told - 1, told);
    },
    signal: AbortSignal.any([context.letGo.signal, context.cancel.signal]),
  };
}
