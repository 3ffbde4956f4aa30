import { canonicalJson, type Json } from "../canonical-json.ts";
import { EspalierError, toEspalierError } from "../errors.ts";
import type { TuneIr } from "../ir/pipeline.ts";
import type { StepRow } from "../record/engine-record.ts";
import { bestTrial } from "./best-trial.ts";
import { driveTrials } from "./drive-trials.ts";
import { pruneLosers } from "./prune-losers.ts";
import type { RunContext } from "./run-context.ts";
import { trialMetrics } from "./trial-metrics.ts";

const open = ["pending", "waiting", "running"] as const;

/** A search: each trial a branch with values of its own; the step's outputs are those of the best. */
export async function driveTune(context: RunContext, row: StepRow, tune: TuneIr): Promise<StepRow> {
  try {
    const running = row.state === "running" ? row : await context.moveStep(row, open, "running");
    const over = new AbortController();
    const pruning = pruneLosers(context, row.step, tune, over.signal);
    const { trials, branches, isWhole } = await driveTrials(context, row.step, tune).finally(() => over.abort());
    await pruning;
    const isCut = !isWhole || branches.some((branch) => branch.state === "cancelled");
    if (context.cancel.signal.aborted && isCut) {
      return await context.moveStep(running, open, "cancelled");
    }
    const failed = branches.filter((branch) => branch.state === "failed");
    if (failed[0] && failed.length > (tune.max_failed ?? 0)) {
      const reason = `${failed.length} of ${branches.length} trials failed, first [${failed[0].branch}]: ${failed[0].reason ?? ""}`;
      const { error } = failed[0];
      return await context.moveStep(running, open, "failed", { reason, ...(error ? { error } : {}) });
    }
    const best = await bestOf(context, row.step, tune, trials, branches);
    const { outputs = {}, values = {} } = best.row;
    const told = { trial: best.row.branch, values: trials[best.row.branch] ?? null, metric: best.value };
    const bytes = (json: Json): Uint8Array => Buffer.from(canonicalJson(json), "utf8");
    const [table, bestRef] = await Promise.all([
      context.options.artifacts.putBytes(bytes(best.table), "file"),
      context.options.artifacts.putBytes(bytes(told), "value"),
    ]);
    const pruned = branches.filter((branch) => branch.state === "pruned").length;
    const allCached = branches.every((branch) => branch.state === "cached");
    return await context.moveStep(running, open, allCached ? "cached" : "succeeded", {
      outputs: { ...outputs, trials: table, best_trial: bestRef },
      values: { ...values, best_trial: told },
      reason: `trial ${best.row.branch} is the best of ${branches.length}${pruned === 0 ? "" : `, ${pruned} stopped early`}`,
    });
  } catch (error) {
    context.letGo.signal.throwIfAborted();
    const current = context.row(row.step);
    if (context.cancel.signal.aborted) return context.moveStep(current, open, "cancelled");
    const failure = toEspalierError(error);
    return context.moveStep(current, open, "failed", { reason: failure.message, error: failure.toJSON() });
  }
}

async function bestOf(
  context: RunContext,
  step: string,
  { objective }: TuneIr,
  trials: readonly Json[],
  branches: readonly StepRow[],
): Promise<{ row: StepRow; value: number; table: Json[] }> {
  const metrics = await trialMetrics(context, step, objective.metric, branches);
  const table = branches.map((row): Json => {
    const value = metrics.get(row.branch);
    const metric = value !== undefined && Number.isFinite(value) ? value : null;
    return { trial: row.branch, values: trials[row.branch] ?? null, state: row.state, metric };
  });
  const row = bestTrial(branches, metrics, objective.direction);
  if (row !== undefined) return { row, value: metrics.get(row.branch) ?? 0, table };
  const isNan = [...metrics.values()].some((value) => !Number.isFinite(value));
  const what = isNan ? "every value of it is NaN or infinite" : "it was not reported";
  throw new EspalierError("STEP_FAILED", `No trial of ${step} has a finite metric \`${objective.metric}\`: ${what}`, {
    at: `steps.${step}.tune.objective.metric`,
    hint: `Append {"type":"metric","key":"${objective.metric}","value":...} to $ESPALIER_EVENTS, or log it with MLflow in the run that MLFLOW_RUN_ID names.`,
  });
}
