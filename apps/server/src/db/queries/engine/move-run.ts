import { type EngineChange, type RunState, terminalRunStates } from "@espalier/core";
import { sql } from "kysely";
import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import { toJson } from "../../json.ts";
import { noteRun, noteTracking } from "../../mirror-changes.ts";
import type { TrackingStatus } from "../experiments.ts";
import { leavable, wrongState } from "./lease-guard.ts";
import type { NewRunEvent } from "./run-events.ts";

const trackingStatus: Record<RunState, TrackingStatus> = {
  queued: "SCHEDULED",
  running: "RUNNING",
  succeeded: "FINISHED",
  failed: "FAILED",
  cancelled: "KILLED",
};

export async function moveRun(
  database: RecordDatabase,
  transaction: RecordTransaction,
  runId: string,
  change: Extract<EngineChange, { kind: "moveRun" }>,
): Promise<NewRunEvent[]> {
  const { from, to } = change.transition;
  const ends = terminalRunStates.includes(to);
  const moved = await transaction
    .updateTable("pipeline_runs")
    .set({
      state: to,
      ...(to === "running" ? { started_at: sql<number>`coalesce(started_at, ${database.now})` } : {}),
      ...(ends ? { finished_at: database.now, lease_owner: null, lease_until: null } : {}),
      ...(change.patch?.error === undefined ? {} : { error: toJson(change.patch.error) }),
    })
    .where("project_id", "=", database.projectId)
    .where("run_id", "=", runId)
    .where("state", "in", leavable(from, terminalRunStates))
    .returning("run_id")
    .executeTakeFirst();
  if (moved === undefined) {
    const present = await transaction
      .selectFrom("pipeline_runs")
      .select("state")
      .where("project_id", "=", database.projectId)
      .where("run_id", "=", runId)
      .executeTakeFirst();
    throw wrongState(`run ${runId}`, present?.state, from, to);
  }
  await transaction
    .updateTable("runs")
    .set({ status: trackingStatus[to], ...(ends ? { end_time: database.now } : {}) })
    .where("project_id", "=", database.projectId)
    .where("run_id", "=", runId)
    .execute();
  await noteTracking(database, transaction, { kind: "run", subject: runId });
  await noteRun(database, transaction, { kind: "run-state", subject: runId, state: to });
  return [{ type: `run.${to}`, payload: { error: change.patch?.error } }];
}
