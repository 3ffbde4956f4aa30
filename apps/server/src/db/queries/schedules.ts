import { EspalierError, type ParameterValue } from "@espalier/core";
import { type Selectable, sql } from "kysely";
import type { RecordDatabase } from "../database.ts";
import { fromJson, present } from "../json.ts";
import { keyset, type Page, type PageRequest } from "../page.ts";
import type { SchedulesTable } from "../schema/engine.ts";

export interface ScheduleSettings {
  /** The pipeline's name: a pipeline has one schedule. */
  id: string;
  pipeline: string;
  cron: string;
  timezone: string;
  catchUp: boolean;
  overlap: "skip" | "queue" | "allow";
  stack?: string;
  params?: Readonly<Record<string, ParameterValue>>;
}

export interface ScheduleRow extends ScheduleSettings {
  params: Readonly<Record<string, ParameterValue>>;
  paused: boolean;
  /** Instants before this are never due: the schedule's creation, or its resumption without catch-up. */
  dueFrom: number;
  createdAt: number;
  updatedAt: number;
  /** Logical date (ms) of the newest firing that was no backfill. */
  lastDue?: number;
  lastRunId?: string;
}

export interface ScheduleQueries {
  /** Keeps `paused` and `dueFrom` of a schedule that is there. */
  upsert(schedule: ScheduleSettings): Promise<ScheduleRow>;
  get(id: string): Promise<ScheduleRow | undefined>;
  /** By id. */
  list(page: PageRequest): Promise<Page<ScheduleRow>>;
  pause(id: string): Promise<ScheduleRow>;
  /** Without catch-up what was missed while paused stays missed. */
  resume(id: string): Promise<ScheduleRow>;
  /** Its firings stay. */
  delete(id: string): Promise<void>;
}

export function createScheduleQueries(database: RecordDatabase): ScheduleQueries {
  const { kysely, projectId } = database;

  const select = () =>
    kysely
      .selectFrom("schedules")
      .selectAll()
      .select((columns) => {
        const newest = columns
          .selectFrom("firings")
          .whereRef("firings.project_id", "=", "schedules.project_id")
          .whereRef("firings.schedule_id", "=", "schedules.schedule_id")
          .where("kind", "!=", "backfill")
          .orderBy("logical_date", "desc")
          .limit(1);
        return [
          newest.select("logical_date").as("last_due"),
          newest.where("run_id", "is not", null).select("run_id").as("last_run_id"),
        ];
      })
      .where("project_id", "=", projectId);

  const get = async (id: string): Promise<ScheduleRow | undefined> => {
    const row = await select().where("schedule_id", "=", id).executeTakeFirst();
    return row === undefined ? undefined : toRow(row);
  };

  const setPaused = async (id: string, paused: boolean): Promise<ScheduleRow> => {
    await kysely
      .updateTable("schedules")
      .set({
        paused: paused ? 1 : 0,
        updated_at: database.now,
        // Only a resumption that changes something moves the start: resuming twice must not skip an instant in between.
        ...(paused
          ? {}
          : { due_from: sql<number>`CASE WHEN paused = 1 AND catch_up = 0 THEN ${database.now} ELSE due_from END` }),
      })
      .where("project_id", "=", projectId)
      .where("schedule_id", "=", id)
      .execute();
    const row = await get(id);
    if (row !== undefined) return row;
    throw new EspalierError("NOT_FOUND", `There is no schedule of ${id}`, {
      hint: "`espalier schedule list` shows those there are; a pipeline's `schedule:` makes one.",
    });
  };

  return {
    upsert: async (schedule) => {
      const settings = {
        pipeline: schedule.pipeline,
        cron: schedule.cron,
        timezone: schedule.timezone,
        catch_up: schedule.catchUp ? 1 : 0,
        overlap: schedule.overlap,
        stack: schedule.stack ?? null,
        params: JSON.stringify(schedule.params ?? {}),
        updated_at: database.now,
      };
      await kysely
        .insertInto("schedules")
        .values({
          project_id: projectId,
          schedule_id: schedule.id,
          ...settings,
          paused: 0,
          due_from: database.now,
          created_at: database.now,
        })
        .onConflict((conflict) => conflict.columns(["project_id", "schedule_id"]).doUpdateSet(settings))
        .execute();
      return (await get(schedule.id)) as ScheduleRow;
    },
    get,
    list: async (request) => {
      const keys = keyset(request, "ascending", { schedule_id: "text" });
      const rows = await select().where(keys.after).orderBy("schedule_id").limit(keys.fetch).execute();
      return keys.page(rows, (row) => [row.schedule_id], toRow);
    },
    pause: (id) => setPaused(id, true),
    resume: (id) => setPaused(id, false),
    delete: async (id) => {
      await kysely.deleteFrom("schedules").where("project_id", "=", projectId).where("schedule_id", "=", id).execute();
    },
  };
}

function toRow(row: Selectable<SchedulesTable> & { last_due: number | null; last_run_id: string | null }): ScheduleRow {
  return {
    id: row.schedule_id,
    pipeline: row.pipeline,
    cron: row.cron,
    timezone: row.timezone,
    catchUp: row.catch_up === 1,
    overlap: row.overlap as ScheduleRow["overlap"],
    ...present("stack", row.stack),
    params: fromJson(row.params),
    paused: row.paused === 1,
    dueFrom: row.due_from,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    ...present("lastDue", row.last_due),
    ...present("lastRunId", row.last_run_id),
  };
}
