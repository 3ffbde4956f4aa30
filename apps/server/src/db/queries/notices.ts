import { EspalierError, type Json } from "@espalier/core";
import { type Selectable, sql } from "kysely";
import type { RecordDatabase } from "../database.ts";
import { fromJson, present } from "../json.ts";
import { keyset, type Page, type PageRequest } from "../page.ts";
import type { NoticesTable } from "../schema/operations.ts";

export type NoticeState = "pending" | "done" | "failed";

export interface NewNotice {
  /** The same id again is the same notice: `run:<id>:failed` is told once. */
  id: string;
  kind: string;
  /** A URL, or the name of the secret that holds one. */
  target: string;
  payload: Json;
}

export interface NoticeRow extends NewNotice {
  state: NoticeState;
  tries: number;
  lastError?: string;
  createdAt: number;
  finishedAt?: number;
}

/** The outbox: a notice survives the process that wanted to send it, and is sent at least once. */
export interface NoticeQueries {
  enqueue(notice: NewNotice): Promise<void>;
  /** Takes due notices for some seconds; one that is neither done nor failed by then is due again. */
  claim(limit: number, leaseSeconds: number): Promise<NoticeRow[]>;
  done(id: string): Promise<void>;
  /** Due again after `retryInSeconds`; without it, failed for good. */
  failed(id: string, error: string, retryInSeconds?: number): Promise<void>;
  /** Newest first. */
  list(filter: { state?: NoticeState | undefined }, page: PageRequest): Promise<Page<NoticeRow>>;
}

export function createNoticeQueries(database: RecordDatabase): NoticeQueries {
  const { kysely, projectId } = database;

  const finish = async (id: string, set: Record<string, unknown>): Promise<void> => {
    const row = await kysely
      .updateTable("notices")
      .set({ claimed_until: null, ...set })
      .where("project_id", "=", projectId)
      .where("notice_id", "=", id)
      .where("state", "=", "pending")
      .returning("notice_id")
      .executeTakeFirst();
    if (row === undefined) throw new EspalierError("CONFLICT", `Notice ${id} is not pending`);
  };

  return {
    enqueue: async (notice) => {
      await kysely
        .insertInto("notices")
        .values({
          project_id: projectId,
          notice_id: notice.id,
          kind: notice.kind,
          target: notice.target,
          payload: JSON.stringify(notice.payload),
          state: "pending",
          tries: 0,
          due_at: database.now,
          created_at: database.now,
        })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    },
    claim: (limit, leaseSeconds) =>
      database.transaction(async (transaction) => {
        const due = transaction
          .selectFrom("notices")
          .select("notice_id")
          .where("project_id", "=", projectId)
          .where("state", "=", "pending")
          .where("due_at", "<=", database.now)
          .where((columns) =>
            columns.or([columns("claimed_until", "is", null), columns("claimed_until", "<", database.now)]),
          )
          .orderBy("due_at")
          .limit(Math.min(limit, 1000));
        const rows = await transaction
          .updateTable("notices")
          .set({
            tries: sql<number>`tries + 1`,
            claimed_until: sql<number>`${database.now} + ${sql.lit(Math.round(leaseSeconds * 1000))}`,
          })
          .where("project_id", "=", projectId)
          .where("notice_id", "in", database.kind === "postgres" ? due.forUpdate().skipLocked() : due)
          .returningAll()
          .execute();
        return rows.map(toRow);
      }),
    done: (id) => finish(id, { state: "done", finished_at: database.now }),
    failed: (id, error, retryInSeconds) =>
      finish(
        id,
        retryInSeconds === undefined
          ? { state: "failed", last_error: error, finished_at: database.now }
          : { last_error: error, due_at: sql<number>`${database.now} + ${sql.lit(Math.round(retryInSeconds * 1000))}` },
      ),
    list: async (filter, request) => {
      const keys = keyset(request, "descending", { created_at: "integer", notice_id: "text" });
      let query = kysely
        .selectFrom("notices")
        .selectAll()
        .where("project_id", "=", projectId)
        .where(keys.after)
        .orderBy("created_at", "desc")
        .orderBy("notice_id", "desc")
        .limit(keys.fetch);
      if (filter.state !== undefined) query = query.where("state", "=", filter.state);
      return keys.page(await query.execute(), (row) => [row.created_at, row.notice_id], toRow);
    },
  };
}

function toRow(row: Selectable<NoticesTable>): NoticeRow {
  return {
    id: row.notice_id,
    kind: row.kind,
    target: row.target,
    payload: fromJson(row.payload),
    state: row.state as NoticeState,
    tries: row.tries,
    ...present("lastError", row.last_error),
    createdAt: row.created_at,
    ...present("finishedAt", row.finished_at),
  };
}
