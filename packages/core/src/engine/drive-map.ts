import type { ArtifactRef } from "../artifact.ts";
import { canonicalJson, type Json } from "../canonical-json.ts";
import { toEspalierError } from "../errors.ts";
import { evaluateItems } from "../ir/cel.ts";
import type { StepRow } from "../record/engine-record.ts";
import { terminalStepStates } from "../record/states.ts";
import { driveUnit } from "./drive-unit.ts";
import { failpoint } from "./failpoint.ts";
import type { RunContext } from "./run-context.ts";
import { expressionVariables, resolveUnit } from "./unit.ts";

const open = ["pending", "waiting", "running"] as const;

/** A mapped step: one branch an item, then its outputs gathered in the order of the items. */
export async function driveMap(context: RunContext, row: StepRow): Promise<StepRow> {
  try {
    const items = evaluateItems(context.step(row.step).map?.over ?? "[]", expressionVariables(context));
    await context.writes.createBranches(context.run.id, context.run.leaseEpoch, row.step, items);
    failpoint("branches-created");
    const running = row.state === "running" ? row : await context.moveStep(row, open, "running");
    const branches = await driveBranches(context, row.step, items);
    if (context.cancel.signal.aborted && branches.some((branch) => branch.state === "cancelled")) {
      return await context.moveStep(running, open, "cancelled");
    }
    const failed = branches.filter((branch) => branch.state === "failed");
    if (failed[0]) {
      const reason = `${failed.length} of ${branches.length} branches failed, first [${failed[0].branch}]: ${failed[0].reason ?? ""}`;
      const error = failed[0].error;
      return await context.moveStep(running, open, "failed", { reason, ...(error ? { error } : {}) });
    }
    const gathered = await gather(context, row, branches);
    const allCached = branches.length > 0 && branches.every((branch) => branch.state === "cached");
    return await context.moveStep(running, open, allCached ? "cached" : "succeeded", gathered);
  } catch (error) {
    context.letGo.signal.throwIfAborted();
    const current = context.row(row.step);
    if (context.cancel.signal.aborted) return context.moveStep(current, open, "cancelled");
    const told = toEspalierError(error);
    return context.moveStep(current, open, "failed", { reason: told.message, error: told.toJSON() });
  }
}

/** As many at a time as `concurrency` says; the limit of the compute applies besides. A failed branch does not stop the others. */
async function driveBranches(context: RunContext, step: string, items: readonly Json[]): Promise<StepRow[]> {
  const results = new Array<StepRow>(items.length);
  const entries = items.entries();
  const work = async (): Promise<void> => {
    for (const [branch, item] of entries) {
      const row: StepRow = { ...context.row(step, branch), item };
      if (terminalStepStates.includes(row.state)) results[branch] = row;
      else if (context.cancel.signal.aborted) results[branch] = await context.moveStep(row, open, "cancelled");
      else results[branch] = await driveUnit(context, row);
    }
  };
  const concurrency = context.step(step).map?.concurrency ?? 64;
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, work));
  return results;
}

async function gather(
  context: RunContext,
  row: StepRow,
  branches: readonly StepRow[],
): Promise<Pick<StepRow, "outputs" | "values">> {
  const outputs: Record<string, ArtifactRef> = {};
  const values: Record<string, Json> = {};
  for (const [name, { type }] of Object.entries(resolveUnit(context, row).outputs)) {
    if (type === "value") {
      const list = branches.map((branch) => branch.values?.[name] ?? null);
      values[name] = list;
      outputs[name] = await context.options.artifacts.putBytes(Buffer.from(canonicalJson(list), "utf8"), "value");
    } else {
      const refs = branches.map((branch) => branch.outputs?.[name]);
      outputs[name] = await context.options.staging.gather(refs.filter((ref) => ref !== undefined));
    }
  }
  return { outputs, values };
}
