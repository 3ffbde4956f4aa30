import type { Json, JsonObject, ParameterValue } from "@espalier/core";
import type { MonitorQueries } from "../db/queries/monitors.ts";
import { datedParameters } from "./dated-parameters.ts";
import { type DriftPorts, judgeDrift } from "./drift-monitor.ts";
import type { Judgement } from "./judgement.ts";
import type { MonitorSettings } from "./monitor-settings.ts";
import { judgePerformance, type PerformancePorts } from "./performance-monitor.ts";
import {
  eventSpan,
  joinLabels,
  servedVersions,
  type TrafficDatabase,
  type TrafficFiles,
  viewTraffic,
} from "./traffic.ts";
import { dayMilliseconds, dayOf, dueWindows, startOfDay, type TimeWindow } from "./windows.ts";

export interface MonitorPorts extends DriftPorts, PerformancePorts {
  record: Pick<MonitorQueries, "upsert" | "get" | "reports" | "saveState" | "saveReport">;
  openDatabase(): Promise<TrafficDatabase>;
  files(endpoint: string): Promise<TrafficFiles>;
  /** Logical date of the newest run of a pipeline up to an instant, whatever started it. */
  lastRunDate(pipeline: string, upTo: number): Promise<number | undefined>;
  mintRunId(): string;
  /** Idempotent on the id. */
  startRun(request: AlertRun): Promise<void>;
}

/** The run that an alert asks for. */
export interface AlertRun {
  id: string;
  pipeline: string;
  params: Readonly<Record<string, ParameterValue>>;
  logicalDate: string;
  monitor: string;
  /** `<monitor>/<first day>/<day after the last>` */
  report: string;
}

/** As it is stored with a monitor's report. */
export interface StoredJudgement extends Judgement {
  kind: MonitorSettings["kind"];
  /** Windows up to this one that crossed, in a row. */
  inARow: number;
  /** As written in the project at that time: a threshold moved later does not rewrite history. */
  thresholds: JsonObject;
  /** Why an alert did or did not start a run. */
  action?: string;
}

export interface JudgedWindow {
  monitor: string;
  window: TimeWindow;
  status: "ok" | "alert" | "insufficient";
  judgement: StoredJudgement;
  runId?: string;
}

/**
 * Judges every window of a monitor that is complete at `asOf` and not judged yet, oldest first. Windows after the last captured event are
 * left for later: an endpoint without traffic has nothing that could drift.
 */
export async function judgeMonitor(
  ports: MonitorPorts,
  settings: MonitorSettings,
  asOf: number,
): Promise<JudgedWindow[]> {
  if (!settings.enabled) return [];
  const knownUntil = asOf - (settings.kind === "performance" ? settings.with.label_delay : 0);
  const state = (await ports.record.get(settings.name))?.state as { anchor?: number } | undefined;
  const [newest] = (await ports.record.reports(settings.name, { limit: 1 })).items;
  const due = (anchor: number, until: number): TimeWindow[] =>
    dueWindows(anchor, settings.windowLength, newest?.windowEnd, until);
  // Most calls find nothing due; they should not have to compact and open what was captured.
  if (state?.anchor !== undefined && due(state.anchor, knownUntil).length === 0) return [];
  const files = await ports.files(settings.endpoint);
  const database = await ports.openDatabase();
  try {
    const span = await eventSpan(database, files);
    if (span === undefined) return [];
    // Windows begin with the day of the first event and keep that grid for good.
    const anchor = state?.anchor ?? startOfDay(span.first);
    if (state?.anchor === undefined) await ports.record.saveState(settings.name, { anchor });
    const judged: JudgedWindow[] = [];
    for (const window of due(anchor, Math.min(knownUntil, startOfDay(span.last) + dayMilliseconds))) {
      judged.push(await judgeWindow(ports, settings, database, files, window, asOf));
    }
    return judged;
  } finally {
    await database.close();
  }
}

/** Judges one window again or for the first time, whether it is due or not (`espalier monitor run`). */
export async function judgeWindowNow(
  ports: MonitorPorts,
  settings: MonitorSettings,
  window: TimeWindow,
  asOf: number,
): Promise<JudgedWindow> {
  const database = await ports.openDatabase();
  try {
    return await judgeWindow(ports, settings, database, await ports.files(settings.endpoint), window, asOf);
  } finally {
    await database.close();
  }
}

async function judgeWindow(
  ports: MonitorPorts,
  settings: MonitorSettings,
  database: TrafficDatabase,
  files: TrafficFiles,
  window: TimeWindow,
  asOf: number,
): Promise<JudgedWindow> {
  const judgement = await measure(ports, settings, database, files, window, asOf);
  const before = await crossedBefore(ports, settings, window);
  const inARow = judgement.outcome === "crossed" ? before + 1 : 0;
  const alerts = inARow >= settings.windowsInARow;
  const status = judgement.outcome === "insufficient" ? "insufficient" : alerts ? "alert" : "ok";
  const stored: StoredJudgement = {
    kind: settings.kind,
    ...judgement,
    summary: withRow(judgement.summary, inARow, settings.windowsInARow),
    inARow,
    thresholds: JSON.parse(JSON.stringify(settings.thresholds)) as JsonObject,
  };
  const run = alerts ? await decideRun(ports, settings, window, asOf, stored) : undefined;
  const saved = await ports.record.saveReport({
    monitor: settings.name,
    windowStart: window.start,
    windowEnd: window.end,
    status,
    report: stored as unknown as Json,
    ...(run === undefined ? {} : { runId: run.id }),
  });
  // A window judged twice keeps its first run, so a crash between report and run is made up for, and nothing runs twice.
  if (run !== undefined) await ports.startRun({ ...run, id: saved.runId ?? run.id });
  return {
    monitor: settings.name,
    window,
    status,
    judgement: stored,
    ...(saved.runId === undefined ? {} : { runId: saved.runId }),
  };
}

async function measure(
  ports: MonitorPorts,
  settings: MonitorSettings,
  database: TrafficDatabase,
  files: TrafficFiles,
  window: TimeWindow,
  asOf: number,
): Promise<Judgement> {
  const none: Judgement = { outcome: "insufficient", summary: "Nothing was captured.", rows: 0, results: {} };
  if (files.captured.length === 0) return none;
  await viewTraffic(database, files, window);
  const versions = await servedVersions(database);
  const [main] = versions;
  if (main === undefined) return none;
  const rows = versions.reduce((sum, version) => sum + version.rows, 0);
  if (settings.kind === "performance") await joinLabels(database, files, asOf);
  const judgement =
    settings.kind === "drift"
      ? await judgeDrift(database, settings, main, rows, ports)
      : await judgePerformance(database, settings, main, rows, ports);
  const shares = versions.map(({ model, version, rows: served }) => ({ model, version, rows: served }));
  return { ...judgement, results: { ...judgement.results, versions: shares } };
}

/** An alert starts its pipeline, unless that has run, or was about to, within the cool-down. */
async function decideRun(
  ports: MonitorPorts,
  settings: MonitorSettings,
  window: TimeWindow,
  asOf: number,
  stored: StoredJudgement,
): Promise<AlertRun | undefined> {
  const { start } = settings;
  if (start === undefined) {
    stored.action = "No pipeline is named to start.";
    return undefined;
  }
  const last = await ports.lastRunDate(start.pipeline, asOf);
  if (last !== undefined && asOf - last < settings.cooldown) {
    stored.action = `${start.pipeline} was not started: it ran for ${dayOf(last)}, within the cool-down of ${settings.cooldown / 86_400_000} days.`;
    return undefined;
  }
  const logicalDate = new Date(asOf);
  stored.action = `${start.pipeline} was started for ${dayOf(asOf)}.`;
  return {
    id: ports.mintRunId(),
    pipeline: start.pipeline,
    params: datedParameters(start.params, logicalDate),
    logicalDate: logicalDate.toISOString(),
    monitor: settings.name,
    report: `${settings.name}/${dayOf(window.start)}/${dayOf(window.end)}`,
  };
}

/** How many windows directly before this one crossed, in a row. */
async function crossedBefore(ports: MonitorPorts, settings: MonitorSettings, window: TimeWindow): Promise<number> {
  const { items } = await ports.record.reports(settings.name, { limit: 100 });
  const before = items.find((report) => report.windowEnd === window.start);
  const judgement = before?.report as unknown as StoredJudgement | undefined;
  return judgement?.inARow ?? 0;
}

function withRow(summary: string, inARow: number, needed: number): string {
  if (needed === 1 || inARow === 0) return summary;
  return `${summary} ${inARow} in a row; ${needed} are an alert.`;
}
