import { type EngineChange, EspalierError, terminalStepStates } from "@espalier/core";
import { sql } from "kysely";
import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import { toJson } from "../../json.ts";
import { noteRun, noteTracking } from "../../mirror-changes.ts";
import { leavable, wrongState } from "./lease-guard.ts";
import type { NewRunEvent } from "./run-events.ts";

const rowsAStatement = 500;

export async function moveStep(
  database: RecordDatabase,
  transaction: RecordTransaction,
  runId: string,
  change: Extract<EngineChange, { kind: "moveStep" }>,
): Promise<NewRunEvent[]> {
  const { from, to } = change.transition;
  const patch = change.patch ?? {};
  const moved = await transaction
    .updateTable("steps")
    .set({
      state: to,
      ...(to === "running" ? { started_at: sql<number>`coalesce(started_at, ${database.now})` } : {}),
      ...(terminalStepStates.includes(to) ? { finished_at: database.now } : {}),
      ...(patch.cacheKey === undefined ? {} : { cache_key: patch.cacheKey }),
      ...(patch.keyParts === undefined ? {} : { key_parts: toJson(patch.keyParts) }),
      ...(patch.outputs === undefined ? {} : { outputs: toJson(patch.outputs) }),
      ...(patch.values === undefined ? {} : { step_values: toJson(patch.values) }),
      ...(patch.cachedFrom === undefined ? {} : { cached_from: patch.cachedFrom }),
      ...(patch.reason === undefined ? {} : { reason: patch.reason }),
      ...(patch.error === undefined ? {} : { error: toJson(patch.error) }),
    })
    .where("project_id", "=", database.projectId)
    .where("run_id", "=", runId)
    .where("step", "=", change.step)
    .where("branch", "=", change.branch)
    .where("state", "in", leavable(from, terminalStepStates))
    .returning("step")
    .executeTakeFirst();
  if (moved === undefined) {
    const present = await transaction
      .selectFrom("steps")
      .select("state")
      .where("project_id", "=", database.projectId)
      .where("run_id", "=", runId)
      .where("step", "=", change.step)
      .where("branch", "=", change.branch)
      .executeTakeFirst();
    const branch = change.branch === -1 ? "" : `[${change.branch}]`;
    throw wrongState(`step ${change.step}${branch} of run ${runId}`, present?.state, from, to);
  }
  const { reason, error, cachedFrom } = patch;
  if (cachedFrom !== undefined && cachedFrom !== "") await tagCached(database, transaction, runId, change, cachedFrom);
  if (change.branch === -1 && (to === "running" || terminalStepStates.includes(to)))
    await noteRun(database, transaction, { kind: "step-state", subject: runId, step: change.step, state: to });
  return [{ type: `step.${to}`, step: change.step, branch: change.branch, payload: { reason, error, cachedFrom } }];
}

/** A map may have thousands of branches, and clients read all tags of a run at once. */
const mostTaggedBranches = 100;

/** A cached step has no run of its own below its pipeline's run: a tag there says which attempt it stands for. */
async function tagCached(
  database: RecordDatabase,
  transaction: RecordTransaction,
  runId: string,
  { step, branch }: { step: string; branch: number },
  attemptId: string,
): Promise<void> {
  if (branch >= mostTaggedBranches) return;
  const key = `espalier.cached.${step}${branch === -1 ? "" : `[${branch}]`}`;
  await transaction
    .insertInto("tags")
    .values({ project_id: database.projectId, run_id: runId, key, value: attemptId })
    .onConflict((conflict) =>
      conflict
        .columns(["project_id", "run_id", "key"])
        .doUpdateSet((columns) => ({ value: columns.ref("excluded.value") })),
    )
    .execute();
  await noteTracking(database, transaction, { kind: "tags", subject: runId, tags: { [key]: attemptId } });
}

export async function createBranches(
  database: RecordDatabase,
  transaction: RecordTransaction,
  runId: string,
  change: Extract<EngineChange, { kind: "createBranches" }>,
): Promise<NewRunEvent[]> {
  const parent = await transaction
    .selectFrom("steps")
    .select("position")
    .where("project_id", "=", database.projectId)
    .where("run_id", "=", runId)
    .where("step", "=", change.step)
    .where("branch", "=", -1)
    .executeTakeFirst();
  if (parent === undefined) throw new EspalierError("NOT_FOUND", `There is no step ${change.step} of run ${runId}`);
  const { first = 0 } = change;
  let made = 0n;
  for (let start = 0; start < change.items.length; start += rowsAStatement) {
    const results = await transaction
      .insertInto("steps")
      .values(
        change.items.slice(start, start + rowsAStatement).map((item, index) => ({
          project_id: database.projectId,
          run_id: runId,
          step: change.step,
          branch: first + start + index,
          position: parent.position,
          state: "pending",
          item: JSON.stringify(item),
        })),
      )
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    for (const result of results) made += result.numInsertedOrUpdatedRows ?? 0n;
  }
  if (made === 0n) return [];
  return [{ type: "step.branches", step: change.step, branch: -1, payload: { branches: first + change.items.length } }];
}
