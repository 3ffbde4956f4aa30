import { canonicalJson, type Json } from "../canonical-json.ts";
import { EspalierError, toEspalierError } from "../errors.ts";
import type { TuneIr } from "../ir/pipeline.ts";
import { trialsOf } from "../ir/trials.ts";
import type { StepRow } from "../record/engine-record.ts";
import { driveBranches } from "./drive-map.ts";
import type { RunContext } from "./run-context.ts";

const open = ["pending", "waiting", "running"] as const;

/** A search: each trial a branch with values of its own; the step's outputs are those of the best. */
export async function driveTune(context: RunContext, row: StepRow, tune: TuneIr): Promise<StepRow> {
  try {
    const trials = trialsOf(tune);
    await context.writes.createBranches(context.run.id, context.run.leaseEpoch, row.step, trials);
    const running = row.state === "running" ? row : await context.moveStep(row, open, "running");
    const branches = await driveBranches(context, row.step, trials);
    if (context.cancel.signal.aborted && branches.some((branch) => branch.state === "cancelled")) {
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
    const allCached = branches.every((branch) => branch.state === "cached");
    return await context.moveStep(running, open, allCached ? "cached" : "succeeded", {
      outputs: { ...outputs, trials: ref },
      values: { ...values, trials: table },
      reason: `trial ${best.row.branch} is the best of ${branches.length}`,
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
  const attempts = await context.options.record.attempts(context.run.id);
  const own = attempts.filter((attempt) => attempt.step === step && attempt.state === "succeeded");
  const ids = new Map(own.map((attempt) => [attempt.branch, attempt.id]));
  const attemptOf = (row: StepRow): string => row.cachedFrom ?? ids.get(row.branch) ?? "";
  const metrics = await context.options.record.latestMetric(branches.map(attemptOf), objective.metric);
  const sign = objective.direction === "maximize" ? 1 : -1;
  let best: { row: StepRow; value: number } | undefined;
  const table: Json[] = [];
  for (const row of branches) {
    const value = row.state === "failed" ? undefined : metrics.get(attemptOf(row));
    const finite = value !== undefined && Number.isFinite(value);
    table.push({ params: trials[row.branch] ?? null, state: row.state, value: finite ? value : null });
    if (finite && (best === undefined || value * sign > best.value * sign)) best = { row, value };
  }
  if (best === undefined) {
    throw new EspalierError("STEP_FAILED", `No trial of ${step} reported a finite metric \`${objective.metric}\``, {
      at: `steps.${step}.tune.objective.metric`,
      hint: `Append {"type":"metric","key":"${objective.metric}","value":...} to $ESPALIER_EVENTS.`,
    });
  }
  return { row: best.row, table };
}
