import { type AttemptState, type EngineChange, terminalAttemptStates } from "@espalier/core";
import { sql } from "kysely";
import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import { toJson } from "../../json.ts";
import { noteTracking } from "../../mirror-changes.ts";
import type { TrackingStatus } from "../experiments.ts";
import { leavable, wrongState } from "./lease-guard.ts";
import { moveStep } from "./move-step.ts";
import type { NewRunEvent } from "./run-events.ts";
import { logTrialParams, tagAttempt, trialTags } from "./trial-values.ts";

const trackingStatus: Record<AttemptState, TrackingStatus> = {
  created: "SCHEDULED",
  submitted: "RUNNING",
  collecting: "RUNNING",
  succeeded: "FINISHED",
  failed: "FAILED",
  lost: "FAILED",
  pruned: "KILLED",
  cancelled: "KILLED",
};

/** An attempt is also a child run, so that MLflow's clients log to it. */
export async function createAttempt(
  database: RecordDatabase,
  transaction: RecordTransaction,
  runId: string,
  { attempt }: Extract<EngineChange, { kind: "createAttempt" }>,
): Promise<NewRunEvent[]> {
  const project = { project_id: database.projectId };
  const { id, step, branch, number, tool, trial } = attempt;
  const made = await transaction
    .insertInto("attempts")
    .values({
      ...project,
      attempt_id: id,
      run_id: runId,
      step,
      branch,
      number,
      state: "created",
      tool,
      event_offset: 0,
      created_at: database.now,
    })
    .onConflict((conflict) => conflict.columns(["project_id", "attempt_id"]).doNothing())
    .returning("attempt_id")
    .executeTakeFirst();
  if (made === undefined) return [];
  const name = branch === -1 ? step : `${step}[${branch}]`;
  await transaction
    .insertInto("runs")
    .columns([
      "project_id",
      "run_id",
      "experiment_id",
      "parent_run_id",
      "kind",
      "run_name",
      "user_id",
      "status",
      "lifecycle_stage",
      "start_time",
    ])
    .expression(
      transaction
        .selectFrom("runs")
        .select([
          "project_id",
          sql.val(id).as("run_id"),
          "experiment_id",
          sql.val(runId).as("parent_run_id"),
          sql.lit("attempt").as("kind"),
          sql.val(name).as("run_name"),
          "user_id",
          sql.lit(trackingStatus.created).as("status"),
          sql.lit("active").as("lifecycle_stage"),
          database.now.as("start_time"),
        ])
        .where("project_id", "=", database.projectId)
        .where("run_id", "=", runId),
    )
    .execute();
  const tags = {
    "mlflow.runName": name,
    "mlflow.parentRunId": runId,
    "espalier.step": step,
    "espalier.attempt": String(number),
    ...(trial === undefined ? {} : trialTags(branch, trial)),
  };
  await transaction
    .insertInto("tags")
    .values(Object.entries(tags).map(([key, value]) => ({ ...project, run_id: id, key, value })))
    .execute();
  await noteTracking(database, transaction, { kind: "run", subject: id });
  return [{ type: "attempt.created", step, branch, attemptId: id, payload: { number, tool } }];
}

export async function moveAttempt(
  database: RecordDatabase,
  transaction: RecordTransaction,
  runId: string,
  change: Extract<EngineChange, { kind: "moveAttempt" }>,
): Promise<NewRunEvent[]> {
  const { attemptId, patch = {} } = change;
  const { from, to } = change.transition;
  const ends = terminalAttemptStates.includes(to);
  const moved = await transaction
    .updateTable("attempts")
    .set({
      state: to,
      ...(to === "submitted" ? { started_at: sql<number>`coalesce(started_at, ${database.now})` } : {}),
      ...(ends ? { finished_at: database.now } : {}),
      ...(patch.handle === undefined ? {} : { handle: patch.handle }),
      ...(patch.cause === undefined ? {} : { cause: patch.cause }),
      ...(patch.exitCode === undefined ? {} : { exit_code: patch.exitCode }),
      ...(patch.message === undefined ? {} : { message: patch.message }),
      ...(patch.log === undefined ? {} : { log: toJson(patch.log) }),
    })
    .where("project_id", "=", database.projectId)
    .where("attempt_id", "=", attemptId)
    .where("run_id", "=", runId)
    .where("state", "in", leavable(from, terminalAttemptStates))
    .returning(["step", "branch"])
    .executeTakeFirst();
  if (moved === undefined) {
    const present = await transaction
      .selectFrom("attempts")
      .select("state")
      .where("project_id", "=", database.projectId)
      .where("attempt_id", "=", attemptId)
      .where("run_id", "=", runId)
      .executeTakeFirst();
    throw wrongState(`attempt ${attemptId} of run ${runId}`, present?.state, from, to);
  }
  await transaction
    .updateTable("runs")
    .set({ status: trackingStatus[to], ...(ends ? { end_time: database.now } : {}) })
    .where("project_id", "=", database.projectId)
    .where("run_id", "=", attemptId)
    .execute();
  await noteTracking(database, transaction, { kind: "run", subject: attemptId });
  if (ends) await endRunsBelow(database, transaction, attemptId, trackingStatus[to]);
  // In the same transaction: a token is good for exactly as long as its attempt lives, whoever is killed when.
  if (ends) await forgetTokens(database, transaction, attemptId);
  if (ends && moved.branch >= 0) await logTrialParams(database, transaction, attemptId);
  if (to === "pruned") await tagAttempt(database, transaction, attemptId, "espalier.pruned", patch.message ?? "");
  const { cause, exitCode, message } = patch;
  const payload = { cause, exitCode, message };
  const events: NewRunEvent[] = [{ type: `attempt.${to}`, step: moved.step, branch: moved.branch, attemptId, payload }];
  if (change.step !== undefined) {
    events.push(...(await moveStep(database, transaction, runId, { kind: "moveStep", ...moved, ...change.step })));
  }
  if (to === "succeeded") await publishToCache(database, transaction, runId, attemptId, moved);
  return events;
}

/** Runs that the step's script began and, killed or careless, did not end: whatever they were, they run no more. */
async function endRunsBelow(
  database: RecordDatabase,
  transaction: RecordTransaction,
  attemptId: string,
  status: TrackingStatus,
): Promise<void> {
  const ended = await sql<{ run_id: string }>`
    WITH RECURSIVE below (run_id) AS (
      SELECT run_id FROM runs WHERE project_id = ${database.projectId} AND parent_run_id = ${attemptId}
      UNION SELECT child.run_id FROM runs child JOIN below ON child.parent_run_id = below.run_id
        WHERE child.project_id = ${database.projectId})
    UPDATE runs SET status = ${status}, end_time = ${database.now}
      WHERE project_id = ${database.projectId} AND kind = 'external' AND status IN ('RUNNING', 'SCHEDULED')
        AND run_id IN (SELECT run_id FROM below)
      RETURNING run_id`.execute(transaction);
  for (const { run_id: subject } of ended.rows) await noteTracking(database, transaction, { kind: "run", subject });
}

/** Not only revoked: a row for every attempt that ever was would be of no use to anybody. */
async function forgetTokens(
  database: RecordDatabase,
  transaction: RecordTransaction,
  attemptId: string,
): Promise<void> {
  await transaction
    .deleteFrom("tokens")
    .where("project_id", "=", database.projectId)
    .where("scope_kind", "=", "attempt")
    .where("scope_id", "=", attemptId)
    .execute();
}

async function publishToCache(
  database: RecordDatabase,
  transaction: RecordTransaction,
  runId: string,
  attemptId: string,
  { step, branch }: { step: string; branch: number },
): Promise<void> {
  await transaction
    .insertInto("cache_entries")
    .columns(["project_id", "cache_key", "attempt_id", "run_id", "created_at"])
    .expression(
      transaction
        .selectFrom("steps")
        .select((columns) => [
          "project_id",
          columns.ref("cache_key").$notNull().as("cache_key"),
          sql.val(attemptId).as("attempt_id"),
          "run_id",
          database.now.as("created_at"),
        ])
        .where("project_id", "=", database.projectId)
        .where("run_id", "=", runId)
        .where("step", "=", step)
        .where("branch", "=", branch)
        .where("cache_key", "is not", null),
    )
    .onConflict((conflict) =>
      conflict.columns(["project_id", "cache_key"]).doUpdateSet((columns) => ({
        attempt_id: columns.ref("excluded.attempt_id"),
        run_id: columns.ref("excluded.run_id"),
        created_at: columns.ref("excluded.created_at"),
      })),
    )
    .execute();
}
