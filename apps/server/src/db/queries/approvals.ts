import { EspalierError, type Json } from "@espalier/core";
import type { Selectable } from "kysely";
import type { RecordDatabase } from "../database.ts";
import { fromJson, present } from "../json.ts";
import { keyset, type Page, type PageRequest } from "../page.ts";
import type { ApprovalsTable } from "../schema/engine.ts";

export type ApprovalState = "waiting" | "approved" | "rejected" | "cancelled";

export interface NewApproval {
  id: string;
  runId: string;
  step: string;
  branch: number;
  /** What is asked, in one sentence. */
  message: string;
  /** What helps to decide. */
  details?: Json;
}

export interface ApprovalRow extends NewApproval {
  details: Json;
  state: ApprovalState;
  requestedAt: number;
  decidedAt?: number;
  decidedBy?: string;
  comment?: string;
}

export interface ApprovalDecision {
  decision: "approve" | "reject";
  decidedBy: string;
  comment?: string;
}

export interface ApprovalQueries {
  /** Idempotent on (run, step, branch): asking again gives the question that is there, decided or not. */
  request(approval: NewApproval): Promise<ApprovalRow>;
  /** Decides once. Errors: NOT_FOUND, CONFLICT (decided already, otherwise; the same decision again is fine). */
  decide(id: string, decision: ApprovalDecision): Promise<ApprovalRow>;
  /** Questions of a run that ended without an answer. */
  cancelOfRun(runId: string): Promise<void>;
  get(id: string): Promise<ApprovalRow | undefined>;
  /** Of a run's step. */
  ofStep(runId: string, step: string, branch?: number): Promise<ApprovalRow | undefined>;
  /** The undecided question of a step, the first branch's first. */
  waiting(runId: string, step: string): Promise<ApprovalRow | undefined>;
  /** Newest first. */
  list(
    filter: { state?: ApprovalState | undefined; runId?: string | undefined },
    page: PageRequest,
  ): Promise<Page<ApprovalRow>>;
}

export function createApprovalQueries(database: RecordDatabase): ApprovalQueries {
  const { kysely, projectId } = database;

  const get = async (id: string): Promise<ApprovalRow | undefined> => {
    const row = await kysely
      .selectFrom("approvals")
      .selectAll()
      .where("project_id", "=", projectId)
      .where("approval_id", "=", id)
      .executeTakeFirst();
    return row === undefined ? undefined : toRow(row);
  };

  const ofStep = async (runId: string, step: string, branch = -1): Promise<ApprovalRow | undefined> => {
    const row = await kysely
      .selectFrom("approvals")
      .selectAll()
      .where("project_id", "=", projectId)
      .where("run_id", "=", runId)
      .where("step", "=", step)
      .where("branch", "=", branch)
      .executeTakeFirst();
    return row === undefined ? undefined : toRow(row);
  };

  return {
    request: async (approval) => {
      await kysely
        .insertInto("approvals")
        .values({
          project_id: projectId,
          approval_id: approval.id,
          run_id: approval.runId,
          step: approval.step,
          branch: approval.branch,
          state: "waiting",
          question: approval.message,
          details: JSON.stringify(approval.details ?? {}),
          requested_at: database.now,
        })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      return (await ofStep(approval.runId, approval.step, approval.branch)) as ApprovalRow;
    },
    decide: async (id, { decision, decidedBy, comment }) => {
      const state: ApprovalState = decision === "approve" ? "approved" : "rejected";
      const row = await kysely
        .updateTable("approvals")
        .set({ state, decided_by: decidedBy, decided_at: database.now, comment: comment ?? null })
        .where("project_id", "=", projectId)
        .where("approval_id", "=", id)
        .where("state", "=", "waiting")
        .returningAll()
        .executeTakeFirst();
      if (row !== undefined) return toRow(row);
      const present = await get(id);
      if (present === undefined) throw new EspalierError("NOT_FOUND", `There is no approval ${id}`);
      if (present.state === state) return present;
      throw new EspalierError(
        "CONFLICT",
        `Step ${present.step} was ${present.state} by ${present.decidedBy ?? "the run's end"}`,
      );
    },
    cancelOfRun: async (runId) => {
      await kysely
        .updateTable("approvals")
        .set({ state: "cancelled", decided_at: database.now })
        .where("project_id", "=", projectId)
        .where("run_id", "=", runId)
        .where("state", "=", "waiting")
        .execute();
    },
    get,
    ofStep,
    waiting: async (runId, step) => {
      const row = await kysely
        .selectFrom("approvals")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("run_id", "=", runId)
        .where("step", "=", step)
        .where("state", "=", "waiting")
        .orderBy("branch")
        .limit(1)
        .executeTakeFirst();
      return row === undefined ? undefined : toRow(row);
    },
    list: async (filter, request) => {
      const keys = keyset(request, "descending", { requested_at: "integer", approval_id: "text" });
      let query = kysely
        .selectFrom("approvals")
        .selectAll()
        .where("project_id", "=", projectId)
        .where(keys.after)
        .orderBy("requested_at", "desc")
        .orderBy("approval_id", "desc")
        .limit(keys.fetch);
      if (filter.state !== undefined) query = query.where("state", "=", filter.state);
      if (filter.runId !== undefined) query = query.where("run_id", "=", filter.runId);
      return keys.page(await query.execute(), (row) => [row.requested_at, row.approval_id], toRow);
    },
  };
}

function toRow(row: Selectable<ApprovalsTable>): ApprovalRow {
  return {
    id: row.approval_id,
    runId: row.run_id,
    step: row.step,
    branch: row.branch,
    state: row.state as ApprovalState,
    message: row.question,
    details: fromJson(row.details),
    requestedAt: row.requested_at,
    ...present("decidedAt", row.decided_at),
    ...present("decidedBy", row.decided_by),
    ...present("comment", row.comment),
  };
}
