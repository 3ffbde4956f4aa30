import type { Json } from "../canonical-json.ts";
import { EspalierError } from "../errors.ts";
import type { TuneIr } from "../ir/pipeline.ts";
import { trialsOf } from "../ir/trials.ts";
import type { StepRow } from "../record/engine-record.ts";
import { terminalStepStates } from "../record/states.ts";
import { driveUnit } from "./drive-unit.ts";
import { failpoint } from "./failpoint.ts";
import type { ToldTrial } from "./options.ts";
import type { RunContext } from "./run-context.ts";
import { trialMetrics } from "./trial-metrics.ts";

const open = ["pending", "waiting", "running"] as const;
type Values = Record<string, Json>;

/** Brings the trials of a search to their ends, each a branch whose item is its values. */
export async function driveTrials(
  context: RunContext,
  step: string,
  tune: TuneIr,
): Promise<{ trials: Values[]; branches: StepRow[]; isWhole: boolean }> {
  const isAsked = tune.method === "tpe";
  const trials = isAsked ? begunTrials(context, step) : trialsOf(tune);
  const count = isAsked ? (tune.trials ?? 0) : trials.length;
  const concurrency = tune.concurrency ?? (isAsked ? 4 : 64);
  if (!isAsked) await context.writes.createBranches(context.run.id, context.run.leaseEpoch, step, trials);
  failpoint("branches-created");

  const driven: Promise<StepRow>[] = [];
  const atWork = new Set<Promise<unknown>>();
  let failed = 0;
  const isHopeless = (): boolean => failed > (tune.max_failed ?? 0);
  for (let branch = 0; branch < count; branch++) {
    // What a proposal is told follows from the trial's number, never from which of the trials at work happened to be quicker.
    if (isAsked) await Promise.all(driven.slice(0, Math.max(0, branch - concurrency + 1)));
    else while (atWork.size >= concurrency) await Promise.race(atWork);
    if (trials[branch] === undefined) {
      if (context.cancel.signal.aborted || isHopeless()) break;
      const values = await propose(
        context,
        step,
        tune,
        trials,
        await Promise.all(driven.slice(0, branch - concurrency + 1)),
      );
      await context.writes.createBranches(context.run.id, context.run.leaseEpoch, step, [values], branch);
      trials.push(values);
    }
    const row = context.settle({ ...context.row(step, branch), item: trials[branch] ?? null });
    const work = driveTrial(context, row, isHopeless).then((ended) => {
      if (ended.state === "failed") failed += 1;
      return ended;
    });
    driven.push(work);
    // A rejection means that the run is let go: it is heard where all are awaited.
    const done: Promise<void> = work.then(
      () => void atWork.delete(done),
      () => void atWork.delete(done),
    );
    atWork.add(done);
  }
  return { trials, branches: await Promise.all(driven), isWhole: driven.length === count };
}

async function driveTrial(context: RunContext, row: StepRow, isHopeless: () => boolean): Promise<StepRow> {
  if (terminalStepStates.includes(row.state)) return row;
  if (row.state === "pending") {
    if (context.cancel.signal.aborted) return context.moveStep(row, open, "cancelled");
    if (isHopeless()) return context.moveStep(row, open, "skipped", { reason: "too many trials failed" });
  }
  return driveUnit(context, row);
}

/** Those that an earlier process began, in their order: they are not asked for again. */
function begunTrials(context: RunContext, step: string): Values[] {
  const trials: Values[] = [];
  for (let branch = 0; ; branch++) {
    const { item } = context.row(step, branch);
    if (item === undefined) return trials;
    trials.push(item as Values);
  }
}

async function propose(
  context: RunContext,
  step: string,
  tune: TuneIr,
  trials: readonly Values[],
  ended: readonly StepRow[],
): Promise<Values> {
  const { proposeTrial } = context.options;
  if (proposeTrial === undefined) {
    throw new EspalierError("UNSUPPORTED", "Nothing here proposes the trials of a tpe search", {
      at: `steps.${step}.tune.method`,
      hint: "Take `method: random`.",
    });
  }
  const metrics = await trialMetrics(context, step, tune.objective.metric, ended);
  const told = trials.map((values, branch): ToldTrial => {
    const row = ended[branch];
    if (row === undefined) return { values, state: "running" };
    const metric = metrics.get(branch);
    const known = metric !== undefined && Number.isFinite(metric);
    const good = row.state === "succeeded" || row.state === "cached";
    const state = row.state === "pruned" ? "pruned" : good && known ? "succeeded" : "failed";
    return { values, state, ...(known ? { metric } : {}) };
  });
  const signal = AbortSignal.any([context.letGo.signal, context.cancel.signal]);
  return proposeTrial(tune, told, signal);
}
