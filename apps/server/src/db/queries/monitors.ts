import { EspalierError, type Json } from "@espalier/core";
import type { Selectable } from "kysely";
import type { RecordDatabase } from "../database.ts";
import { fromJson, present, presentJson } from "../json.ts";
import { keyset, type Page, type PageRequest } from "../page.ts";
import type { MonitorReportsTable, MonitorsTable } from "../schema/operations.ts";

export interface MonitorSettings {
  name: string;
  endpoint: string;
  /** As written in the project. */
  spec: Json;
  enabled: boolean;
}

export interface MonitorRow extends MonitorSettings {
  /** What the monitor remembers between windows. */
  state?: Json;
  createdAt: number;
  updatedAt: number;
}

export interface NewMonitorReport {
  monitor: string;
  /** Inclusive, ms since the epoch. */
  windowStart: number;
  /** Exclusive. */
  windowEnd: number;
  status: "ok" | "alert" | "insufficient";
  report: Json;
  /** The run that the alert started. */
  runId?: string;
}

export interface MonitorReportRow extends NewMonitorReport {
  createdAt: number;
}

export interface MonitorQueries {
  upsert(monitor: MonitorSettings): Promise<MonitorRow>;
  get(name: string): Promise<MonitorRow | undefined>;
  /** By name. */
  list(page: PageRequest): Promise<Page<MonitorRow>>;
  saveState(name: string, state: Json): Promise<void>;
  /** One report a window: a window judged again replaces its report, but keeps the run that it started. */
  saveReport(report: NewMonitorReport): Promise<MonitorReportRow>;
  report(monitor: string, windowStart: number, windowEnd: number): Promise<MonitorReportRow | undefined>;
  /** Newest window first. */
  reports(monitor: string, page: PageRequest): Promise<Page<MonitorReportRow>>;
}

export function createMonitorQueries(database: RecordDatabase): MonitorQueries {
  const { kysely, projectId } = database;
  return {
    upsert: async (monitor) => {
      const settings = {
        endpoint: monitor.endpoint,
        spec: JSON.stringify(monitor.spec),
        enabled: monitor.enabled ? 1 : 0,
        updated_at: database.now,
      };
      const row = await kysely
        .insertInto("monitors")
        .values({ project_id: projectId, name: monitor.name, ...settings, created_at: database.now })
        .onConflict((conflict) => conflict.columns(["project_id", "name"]).doUpdateSet(settings))
        .returningAll()
        .executeTakeFirstOrThrow();
      return toMonitor(row);
    },
    get: async (name) => {
      const row = await kysely
        .selectFrom("monitors")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("name", "=", name)
        .executeTakeFirst();
      return row === undefined ? undefined : toMonitor(row);
    },
    list: async (request) => {
      const keys = keyset(request, "ascending", { name: "text" });
      const rows = await kysely
        .selectFrom("monitors")
        .selectAll()
        .where("project_id", "=", projectId)
        .where(keys.after)
        .orderBy("name")
        .limit(keys.fetch)
        .execute();
      return keys.page(rows, (row) => [row.name], toMonitor);
    },
    saveState: async (name, state) => {
      const row = await kysely
        .updateTable("monitors")
        .set({ state: JSON.stringify(state), updated_at: database.now })
        .where("project_id", "=", projectId)
        .where("name", "=", name)
        .returning("name")
        .executeTakeFirst();
      if (row === undefined) throw new EspalierError("NOT_FOUND", `There is no monitor ${name}`);
    },
    saveReport: async (report) => {
      const row = await kysely
        .insertInto("monitor_reports")
        .values({
          project_id: projectId,
          monitor: report.monitor,
          window_start: report.windowStart,
          window_end: report.windowEnd,
          status: report.status,
          report: JSON.stringify(report.report),
          run_id: report.runId ?? null,
          created_at: database.now,
        })
        .onConflict((conflict) =>
          conflict.columns(["project_id", "monitor", "window_end", "window_start"]).doUpdateSet((columns) => ({
            status: columns.ref("excluded.status"),
            report: columns.ref("excluded.report"),
            run_id: columns.fn.coalesce("excluded.run_id", "monitor_reports.run_id"),
          })),
        )
        .returningAll()
        .executeTakeFirstOrThrow();
      return toReport(row);
    },
    report: async (monitor, windowStart, windowEnd) => {
      const row = await kysely
        .selectFrom("monitor_reports")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("monitor", "=", monitor)
        .where("window_start", "=", windowStart)
        .where("window_end", "=", windowEnd)
        .executeTakeFirst();
      return row === undefined ? undefined : toReport(row);
    },
    reports: async (monitor, request) => {
      const keys = keyset(request, "descending", { window_end: "integer", window_start: "integer" });
      const rows = await kysely
        .selectFrom("monitor_reports")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("monitor", "=", monitor)
        .where(keys.after)
        .orderBy("window_end", "desc")
        .orderBy("window_start", "desc")
        .limit(keys.fetch)
        .execute();
      return keys.page(rows, (row) => [row.window_end, row.window_start], toReport);
    },
  };
}

function toMonitor(row: Selectable<MonitorsTable>): MonitorRow {
  return {
    name: row.name,
    endpoint: row.endpoint,
    spec: fromJson(row.spec),
    enabled: row.enabled === 1,
    ...presentJson<"state", Json>("state", row.state),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

function toReport(row: Selectable<MonitorReportsTable>): MonitorReportRow {
  return {
    monitor: row.monitor,
    windowStart: row.window_start,
    windowEnd: row.window_end,
    status: row.status as MonitorReportRow["status"],
    report: fromJson(row.report),
    ...present("runId", row.run_id),
    createdAt: row.created_at,
  };
}
