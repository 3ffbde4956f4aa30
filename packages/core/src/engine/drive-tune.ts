import { canonicalJson, type Json } from "../canonical-json.ts";
import { EspalierError, toEspalierError } from "../errors.ts";
import type { TuneIr } from "../ir/pipeline.ts";
import type { StepRow } from "../record/engine-record.ts";
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
    const table = { best: trials[best.row.branch] ?? null, trial: best.row.branch, trials: best.table };
    const ref = await context.options.artifacts.putBytes(Buffer.from(canonicalJson(table), "utf8"), "value");
    const pruned = branches.filter((branch) => branch.state === "pruned").length;
    const allCached = branches.every((branch) => branch.state === "cached");
    return await context.moveStep(running, open, allCached ? "cached" : "succeeded", {
      outputs: { ...outputs, trials: ref },
      values: { ...values, trials: table },
      reason: `trial ${best.row.branch} is the best of ${branches.length}${pruned === 0 ? "" : `, ${pruned} stopped early`}`,
    });
  } catch (error) {
    context.letGo.signal.throwIfAborted();
    const current = context.row(row.step);
    if (context.cancel.signal.aborted) return context.moveStep(current, open, "cancelled");
    const told = toEspalierError(error);
    return context.moveStep(current, open, "failed", { reason: told.message, error: told.toJSON() });
  }
}

/** Of equal trials the first, so that a search comes to the same each time. */
async function bestOf(
  context: RunContext,
  step: string,
  { objective }: TuneIr,
  trials: readonly Json[],
  branches: readonly StepRow[],
): Promise<{ row: StepRow; table: Json[] }> {
  const metrics = await trialMetrics(context, step, objective.metric, branches);
  const sign = objective.direction === "maximize" ? 1 : -1;
  let best: { row: StepRow; value: number } | undefined;
  const table: Json[] = [];
  for (const row of branches) {
    const value = metrics.get(row.branch);
    const finite = value !== undefined && Number.isFinite(value);
    table.push({ params: trials[row.branch] ?? null, state: row.state, value: finite ? value : null });
    const isWhole = row.state === "succeeded" || row.state === "cached";
    if (isWhole && finite && (best === undefined || value * sign > best.value * sign)) best = { row, value };
  }
  if (best !== undefined) return { row: best.row, table };
  const isNan = [...metrics.values()].some((value) => !Number.isFinite(value));
  const what = isNan ? "every value of it is NaN or infinite" : "it was not reported";
  throw new EspalierError("STEP_FAILED", `No trial of ${step} has a finite metric \`${objective.metric}\`: ${what}`, {
    at: `steps.${step}.tune.objective.metric`,
    hint: `Append {"type":"metric","key":"${objective.metric}","value":...} to $ESPALIER_EVENTS, or log it with MLflow in the run that MLFLOW_RUN_ID names.`,
  });
}
