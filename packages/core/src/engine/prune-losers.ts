import { losersAt, rungStep } from "../ir/halving.ts";
import type { TuneIr } from "../ir/pipeline.ts";
import type { StepRow } from "../record/engine-record.ts";
import { terminalStepStates } from "../record/states.ts";
import type { RunContext } from "./run-context.ts";

const lookMilliseconds = 1_000;

/** Compares the trials by what they have reported so far and stops the losers, until `over`. */
export async function pruneLosers(context: RunContext, step: string, tune: TuneIr, over: AbortSignal): Promise<void> {
  const { stop_early: stopEarly } = tune;
  if (stopEarly === undefined) return;
  const signal = AbortSignal.any([over, context.letGo.signal, context.cancel.signal]);
  const judged = new Map<number, number>();
  while (!signal.aborted) {
    try {
      await context.options.clock.delay(lookMilliseconds, signal);
    } catch {
      return;
    }
    try {
      await compare(context, step, { ...tune, stop_early: stopEarly }, judged);
    } catch (error) {
      // A look that failed is taken again: no trial is worse off than without one.
      context.options.onError(error, { runId: context.run.id, doing: `comparing the trials of ${step}` });
    }
  }
}

/**
 * A trial is judged once at each rung, and after a restart once more at the highest that it has come to: its later values count there, and
 * who had passed an earlier one is not asked again.
 */
async function compare(
  context: RunContext,
  step: string,
  tune: TuneIr & Required<Pick<TuneIr, "stop_early">>,
  judged: Map<number, number>,
): Promise<void> {
  const { stop_early: stopEarly, objective } = tune;
  if (stopEarly === undefined) return;
  const attempts = await context.options.record.attempts(context.run.id);
  const branches = new Map<string, StepRow>();
  // In the order of their numbers: the last of a branch counts.
  const ids = new Map(
    attempts.filter((one) => one.step === step && one.branch >= 0).map((one) => [one.branch, one.id]),
  );
  for (const row of context.branches(step)) {
    const id = row.cachedFrom ?? ids.get(row.branch);
    if (id !== undefined && row.state !== "failed") branches.set(id, row);
  }
  const reached = new Map<number, number>();
  const rungs: Map<number, number>[] = [];
  for (let rung = 0; ; rung++) {
    const at = await context.options.record.metricAtStep(
      [...branches.keys()],
      objective.metric,
      rungStep(stopEarly, rung),
    );
    if (at.size === 0) break;
    const values = new Map([...at].map(([id, value]) => [branches.get(id)?.branch ?? -1, value]));
    for (const branch of values.keys()) reached.set(branch, rung);
    rungs.push(values);
  }
  const rowOf = new Map([...branches.values()].map((row) => [row.branch, row]));
  for (const [rung, values] of rungs.entries()) {
    const newcomers = [...values.keys()].filter((branch) => {
      const isOpen = !terminalStepStates.includes(rowOf.get(branch)?.state ?? "failed");
      return isOpen && reached.get(branch) === rung && (judged.get(branch) ?? -1) < rung;
    });
    const { factor = 3 } = stopEarly;
    const { direction } = objective;
    for (const branch of losersAt(values, newcomers, { factor, direction })) {
      const place = `at step ${rungStep(stopEarly, rung)}`;
      context.prune(
        { step, branch },
        `${objective.metric} ${values.get(branch)} ${place} is not among the best of ${values.size}`,
      );
    }
    for (const branch of newcomers) judged.set(branch, rung);
  }
}
