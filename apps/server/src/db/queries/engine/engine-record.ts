import { type EngineChange, type EngineRecord, EspalierError } from "@espalier/core";
import type { RecordDatabase } from "../../database.ts";
import { metricValue } from "../metrics.ts";
import { earlierSteps, findCached } from "./cache.ts";
import { createChangeWriter } from "./changes.ts";
import { claimAttempt } from "./claim-attempt.ts";
import { createRun, readRun } from "./create-run.ts";
import { claimRuns, renewLeases, requestCancel } from "./leases.ts";
import { toAttemptRow, toStepRow } from "./rows.ts";
import { appendStepEvents, eventOffset } from "./step-events.ts";

/** `changed` is called after each commit that a follower of the run would like to hear of. */
export function createEngineRecord(
  database: RecordDatabase,
  changed: (runId: string) => void,
): EngineRecord & Required<Pick<EngineRecord, "applyAll">> {
  const write = createChangeWriter(database);
  const apply = async (runId: string, epoch: number, changes: readonly EngineChange[]): Promise<void> => {
    await write({ runId, epoch, changes });
    changed(runId);
  };
  return {
    createRun: async (run) => {
      const row = await createRun(database, run);
      changed(run.id);
      return row;
    },
    run: (runId) => readRun(database, database.kysely, runId),
    steps: async (runId) => {
      const rows = await database.kysely
        .selectFrom("steps")
        .selectAll()
        .where("project_id", "=", database.projectId)
        .where("run_id", "=", runId)
        .orderBy("position")
        .orderBy("step")
        .orderBy("branch")
        .execute();
      return rows.map(toStepRow);
    },
    attempts: async (runId) => {
      const rows = await database.kysely
        .selectFrom("attempts")
        .selectAll()
        .where("project_id", "=", database.projectId)
        .where("run_id", "=", runId)
        .orderBy("step")
        .orderBy("branch")
        .orderBy("number")
        .execute();
      return rows.map(toAttemptRow);
    },
    claimRuns: (owner, leaseSeconds) => claimRuns(database, owner, leaseSeconds),
    renewLeases: (leases, leaseSeconds) => renewLeases(database, leases, leaseSeconds),
    requestCancel: async (runId) => {
      await requestCancel(database, runId);
      changed(runId);
    },
    moveRun: (runId, epoch, transition, patch = {}) => apply(runId, epoch, [{ kind: "moveRun", transition, patch }]),
    moveStep: ({ runId, step, branch }, epoch, transition, patch = {}) =>
      apply(runId, epoch, [{ kind: "moveStep", step, branch, transition, patch }]),
    createBranches: (runId, epoch, step, items, first = 0) =>
      apply(runId, epoch, [{ kind: "createBranches", step, items, first }]),
    createAttempt: (epoch, { runId, ...attempt }) => apply(runId, epoch, [{ kind: "createAttempt", attempt }]),
    claimAttempt: (attemptId, claimant) => claimAttempt(database, attemptId, claimant),
    moveAttempt: async (attemptId, epoch, transition, patch = {}, step) => {
      const runId = await runOfAttempt(database, attemptId);
      await apply(runId, epoch, [
        { kind: "moveAttempt", attemptId, transition, patch, ...(step === undefined ? {} : { step }) },
      ]);
    },
    applyAll: apply,
    findCached: (cacheKey) => findCached(database, cacheKey),
    earlierSteps: (pipeline, step, limit) => earlierSteps(database, pipeline, step, limit),
    appendStepEvents: async (attemptId, events, fromOffset, toOffset) => {
      await appendStepEvents(database, attemptId, events, fromOffset, toOffset);
      changed(await runOfAttempt(database, attemptId));
    },
    latestMetric: async (attemptIds, key) => {
      if (attemptIds.length === 0) return new Map();
      const rows = await database.kysely
        .selectFrom("latest_metrics")
        .select(["run_id", "value", "is_nan"])
        .where("project_id", "=", database.projectId)
        .where("run_id", "in", [...attemptIds])
        .where("key", "=", key)
        .execute();
      return new Map(rows.map((row) => [row.run_id, metricValue(row)]));
    },
    metricAtStep: async (attemptIds, key, step) => {
      if (attemptIds.length === 0) return new Map();
      const rows = await database.kysely
        .selectFrom("latest_metrics as latest")
        .innerJoin("metrics as point", "point.series_id", "latest.series_id")
        .select(["latest.run_id", "point.value", "point.is_nan"])
        .where("latest.project_id", "=", database.projectId)
        .where("latest.run_id", "in", [...attemptIds])
        .where("latest.key", "=", key)
        .where("latest.step", ">=", step)
        .where("point.step", "=", (inner) =>
          inner
            .selectFrom("metrics as later")
            .select((columns) => columns.fn.min("later.step").as("first"))
            .whereRef("later.series_id", "=", "latest.series_id")
            .where("later.step", ">=", step),
        )
        // Of several at one step the last counts.
        .orderBy("point.timestamp")
        .execute();
      return new Map(rows.map((row) => [row.run_id, metricValue(row)]));
    },
    eventOffset: (attemptId) => eventOffset(database, attemptId),
  };
}

async function runOfAttempt(database: RecordDatabase, attemptId: string): Promise<string> {
  const row = await database.kysely
    .selectFrom("attempts")
    .select("run_id")
    .where("project_id", "=", database.projectId)
    .where("attempt_id", "=", attemptId)
    .executeTakeFirst();
  if (row === undefined) throw new EspalierError("NOT_FOUND", `There is no attempt ${attemptId}`);
  return row.run_id;
}
