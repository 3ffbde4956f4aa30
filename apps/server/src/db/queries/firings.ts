import { EspalierError } from "@espalier/core";
import type { Selectable } from "kysely";
import type { RecordDatabase } from "../database.ts";
import { present } from "../json.ts";
import { keyset, type Page, type PageRequest } from "../page.ts";
import type { FiringsTable } from "../schema/engine.ts";

/** fired: a run was (or is being) made. queued: it waits for the run before. skipped: overlap or pause said no. backfill: asked for by hand. */
export type FiringKind = "fired" | "queued" | "skipped" | "backfill";

export interface Firing {
  scheduleId: string;
  /** ms since the epoch. */
  logicalDate: number;
  kind: FiringKind;
  /** Minted before the run is made, so that a firing whose run is missing after a crash is made up for under the same id. */
  runId?: string;
  reason?: string;
}

export interface FiringRow extends Firing {
  createdAt: number;
}

export interface FiringQueries {
  /** Once a (schedule, logical date): the second time answers what was recorded first, with `recorded: false`. */
  record(firing: Firing): Promise<FiringRow & { recorded: boolean }>;
  /** A queued firing's turn has come, or it is given up. CONFLICT when it is not queued. */
  settle(
    scheduleId: string,
    logicalDate: number,
    to: { kind: FiringKind; runId?: string; reason?: string },
  ): Promise<void>;
  /** Newest logical date first. */
  list(scheduleId: string, page: PageRequest): Promise<Page<FiringRow>>;
  /** Oldest first. */
  queued(scheduleId: string): Promise<FiringRow[]>;
  /** Firings that name a run which was never made: the process died in between. */
  unstarted(): Promise<FiringRow[]>;
}

const mostAtOnce = 1000;

export function createFiringQueries(database: RecordDatabase): FiringQueries {
  const { kysely, projectId } = database;
  return {
    record: async (firing) => {
      const made = await kysely
        .insertInto("firings")
        .values({
          project_id: projectId,
          schedule_id: firing.scheduleId,
          logical_date: firing.logicalDate,
          kind: firing.kind,
          run_id: firing.runId ?? null,
          reason: firing.reason ?? null,
          created_at: database.now,
        })
        .onConflict((conflict) => conflict.doNothing())
        .returningAll()
        .executeTakeFirst();
      if (made !== undefined) return { ...toRow(made), recorded: true };
      const known = await kysely
        .selectFrom("firings")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("schedule_id", "=", firing.scheduleId)
        .where("logical_date", "=", firing.logicalDate)
        .executeTakeFirstOrThrow();
      return { ...toRow(known), recorded: false };
    },
    settle: async (scheduleId, logicalDate, to) => {
      const row = await kysely
        .updateTable("firings")
        .set({ kind: to.kind, run_id: to.runId ?? null, reason: to.reason ?? null })
        .where("project_id", "=", projectId)
        .where("schedule_id", "=", scheduleId)
        .where("logical_date", "=", logicalDate)
        .where("kind", "=", "queued")
        .returning("kind")
        .executeTakeFirst();
      if (row === undefined) {
        throw new EspalierError(
          "CONFLICT",
          `The firing of ${scheduleId} at ${new Date(logicalDate).toISOString()} does not wait`,
        );
      }
    },
    list: async (scheduleId, request) => {
      const keys = keyset(request, "descending", { logical_date: "integer" });
      const rows = await kysely
        .selectFrom("firings")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("schedule_id", "=", scheduleId)
        .where(keys.after)
        .orderBy("logical_date", "desc")
        .limit(keys.fetch)
        .execute();
      return keys.page(rows, (row) => [row.logical_date], toRow);
    },
    queued: async (scheduleId) => {
      const rows = await kysely
        .selectFrom("firings")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("schedule_id", "=", scheduleId)
        .where("kind", "=", "queued")
        .orderBy("logical_date")
        .limit(mostAtOnce)
        .execute();
      return rows.map(toRow);
    },
    unstarted: async () => {
      const rows = await kysely
        .selectFrom("firings")
        .leftJoin("pipeline_runs", (join) =>
          join
            .onRef("pipeline_runs.project_id", "=", "firings.project_id")
            .onRef("pipeline_runs.run_id", "=", "firings.run_id"),
        )
        .selectAll("firings")
        .where("firings.project_id", "=", projectId)
        .where("firings.run_id", "is not", null)
        .where("firings.kind", "in", ["fired", "backfill"])
        .where("pipeline_runs.run_id", "is", null)
        .orderBy("firings.logical_date")
        .limit(mostAtOnce)
        .execute();
      return rows.map(toRow);
    },
  };
}

function toRow(row: Selectable<FiringsTable>): FiringRow {
  return {
    scheduleId: row.schedule_id,
    logicalDate: row.logical_date,
    kind: row.kind as FiringKind,
    ...present("runId", row.run_id),
    ...present("reason", row.reason),
    createdAt: row.created_at,
  };
}
