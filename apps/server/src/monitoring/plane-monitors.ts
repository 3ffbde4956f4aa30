import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { EspalierError, isEspalierError, type RunRow, ulid } from "@espalier/core";
import { loadEmbeddedParts } from "@espalier/host";
import type { TableProfile } from "@espalier/quality";
import type { ControlPlane } from "../control-plane.ts";
import type { ModelVersionRow } from "../db/queries/models.ts";
import { createRun } from "../runs/create-run.ts";
import { type JudgedWindow, judgeMonitor, type MonitorPorts } from "./judge-monitor.ts";
import { type MonitorSettings, monitorSettings } from "./monitor-settings.ts";
import type { ServedShare, TrafficDatabase, TrafficFiles } from "./traffic.ts";
import { dayOf } from "./windows.ts";

/** Monitors of the project, as its file says now; the record learns of changes. INVALID_CONFIG, UNSUPPORTED name the place. */
export async function projectMonitors(plane: ControlPlane): Promise<MonitorSettings[]> {
  const written = Object.entries(plane.project.config.monitors ?? {});
  const monitors = written.map(([name, config]) => monitorSettings(name, config));
  for (const [name, config] of written) {
    await plane.record.monitors.upsert({
      name,
      endpoint: config.endpoint,
      spec: JSON.parse(JSON.stringify(config)),
      enabled: config.enabled ?? true,
    });
  }
  return monitors;
}

/** Judges all windows of an endpoint's monitors (of all endpoints when none is named) that are complete at `asOf`. */
export async function judgeAll(plane: ControlPlane, asOf: number, endpoint?: string): Promise<JudgedWindow[]> {
  const { ports, close } = sharing(monitorPorts(plane));
  const judged: JudgedWindow[] = [];
  try {
    for (const settings of await projectMonitors(plane)) {
      if (endpoint !== undefined && settings.endpoint !== endpoint) continue;
      judged.push(...(await judgeMonitor(ports, settings, asOf)));
    }
    return judged;
  } finally {
    await close();
  }
}

/** One database and one look at the files for all monitors that are judged together. */
function sharing(ports: MonitorPorts): { ports: MonitorPorts; close: () => Promise<void> } {
  let database: Promise<TrafficDatabase> | undefined;
  const files = new Map<string, Promise<TrafficFiles>>();
  return {
    ports: {
      ...ports,
      openDatabase: async () => {
        database ??= ports.openDatabase();
        const opened = await database;
        const shared = databases.get(opened) ?? { ...opened, close: async () => undefined };
        databases.set(opened, shared);
        return shared;
      },
      files: (endpoint) => {
        const known = files.get(endpoint) ?? ports.files(endpoint);
        files.set(endpoint, known);
        return known;
      },
    },
    close: async () => {
      await (await database)?.close();
    },
  };
}

/** What is handed out for a shared database, the same object each time, since tables are remembered by it. */
const databases = new WeakMap<TrafficDatabase, TrafficDatabase>();

export function labelDirectory({ project }: Pick<ControlPlane, "project">, endpoint: string): string {
  return join(project.stateDirectory, "endpoints", endpoint, "labels");
}

const profiles = new WeakMap<ControlPlane, Map<string, ReadonlyMap<string, TableProfile>>>();

export function monitorPorts(plane: ControlPlane): MonitorPorts {
  const { record } = plane;
  const known = profiles.get(plane) ?? new Map<string, ReadonlyMap<string, TableProfile>>();
  profiles.set(plane, known);
  return {
    record: {
      ...record.monitors,
      saveReport: async (report) => {
        const saved = await record.monitors.saveReport(report);
        await recordReportLineage(plane, saved);
        return saved;
      },
    },
    profiles: known,
    // One thread: sums of floating-point numbers then repeat, and a window judged again gives the same report.
    openDatabase: async () => (await loadEmbeddedParts()).openDuckDb({ threads: 1, memoryLimit: "700MB" }),
    files: (endpoint) => trafficFiles(plane, endpoint),
    referenceTable: async (served, reference) => referenceTable(plane, await requireVersion(plane, served), reference),
    modelInputs: async (served, endpoint) => {
      const { drop = [], hash = [] } = (await plane.record.endpoints.get(endpoint))?.spec.capture ?? {};
      const inputs = (await requireVersion(plane, served)).signature?.inputs ?? [];
      const judged = inputs.filter(({ name, shape }) => shape === undefined && ![...drop, ...hash].includes(name));
      return judged.map(({ name }) => name);
    },
    gateMetric: async (served, metric) => gateMetric(plane, await requireVersion(plane, served), metric),
    lastRunDate: (pipeline, upTo) => lastRunDate(plane, pipeline, upTo),
    mintRunId: ulid,
    startRun: async ({ id, pipeline, params, logicalDate, monitor, report }) => {
      const by = `monitor:${monitor}`;
      await createRun(plane, { id, pipeline, params: { ...params }, logicalDate }, by, {
        kind: "monitor",
        by,
        id: report,
      });
    },
  };
}

/** All that was captured so far, as Parquet, and the labels that arrived. */
async function trafficFiles(plane: ControlPlane, endpoint: string): Promise<TrafficFiles> {
  const { deployer } = plane.stack;
  if (deployer.captureDirectory === undefined) {
    throw new EspalierError("UNSUPPORTED", `What the endpoint ${endpoint} captures does not lie on this machine`, {
      hint: "Monitors read the capture of the embedded deployer.",
    });
  }
  const directory = deployer.captureDirectory(endpoint);
  const { compactCapture, compactedDirectory } = await loadEmbeddedParts();
  await deployer.flushCapture?.(endpoint);
  const { skipped } = await compactCapture(directory);
  for (const segment of skipped) plane.logger.warn(segment, "a capture segment was set aside");
  return {
    captured: await parquetFiles(compactedDirectory(directory)),
    labels: await parquetFiles(labelDirectory(plane, endpoint)),
  };
}

async function parquetFiles(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch(() => []);
  return names
    .filter((name) => name.endsWith(".parquet") && !name.includes(".tmp"))
    .sort()
    .map((name) => join(directory, name));
}

async function requireVersion({ record }: ControlPlane, served: ServedShare): Promise<ModelVersionRow> {
  const version = await record.models.version(served.model, served.version);
  if (version !== undefined) return version;
  throw new EspalierError("NOT_FOUND", `${served.model} version ${served.version} served, but is not on record`);
}

/** A table that the run behind a version made, as a local file; it is kept, since every window is compared with it. */
async function referenceTable(plane: ControlPlane, version: ModelVersionRow, reference: string): Promise<string> {
  const [step = "", output = ""] = reference.split(".");
  const rows = version.runId === undefined ? [] : await plane.record.engine.steps(version.runId);
  const ref = rows.find((row) => row.step === step && row.branch === -1)?.outputs?.[output];
  if (ref === undefined) {
    throw new EspalierError(
      "NOT_FOUND",
      `The run behind ${version.name} version ${version.version} has no output ${reference}`,
      {
        at: reference,
        hint: `\`espalier runs show ${version.runId ?? "<run>"}\` lists its outputs.`,
      },
    );
  }
  return materialised(plane, ref);
}

/** Local copy of an artifact, made once. */
export async function materialised(
  { project, artifacts }: ControlPlane,
  ref: Parameters<ControlPlane["artifacts"]["materialise"]>[0],
): Promise<string> {
  const directory = join(project.stateDirectory, "tables");
  await mkdir(directory, { recursive: true });
  const path = join(directory, `${ref.digest.slice(7)}.parquet`);
  try {
    await artifacts.materialise(ref, path);
  } catch (error) {
    if (!isEspalierError(error) || error.code !== "ALREADY_EXISTS") throw error;
  }
  return path;
}

async function gateMetric(
  { record }: ControlPlane,
  version: ModelVersionRow,
  metric: string,
): Promise<number | undefined> {
  const verdict = version.verdictId === undefined ? undefined : await record.verdicts.get(version.verdictId);
  const report = verdict?.report as { candidate?: { metrics?: Record<string, unknown> } } | undefined;
  const value = report?.candidate?.metrics?.[metric];
  return typeof value === "number" ? value : undefined;
}

async function lastRunDate({ record }: ControlPlane, pipeline: string, upTo: number): Promise<number | undefined> {
  const { items } = await record.runs.list({ pipeline }, { limit: 100 });
  const dates = items.map(logicalTime).filter((time) => time !== undefined && time <= upTo) as number[];
  return dates.length === 0 ? undefined : Math.max(...dates);
}

/** Of runs that were started for a date; a run by hand means the moment it was started, which no simulated clock knows. */
function logicalTime(run: Pick<RunRow, "logicalDate">): number | undefined {
  return run.logicalDate === undefined ? undefined : Date.parse(run.logicalDate);
}

async function recordReportLineage(
  { record }: ControlPlane,
  saved: { monitor: string; windowStart: number; windowEnd: number; report: unknown },
): Promise<void> {
  const { served } = saved.report as { served?: string };
  if (served === undefined) return;
  const window = `${dayOf(saved.windowStart)}/${dayOf(saved.windowEnd)}`;
  const endpoint = (await record.monitors.get(saved.monitor))?.endpoint ?? "";
  const capture = `capture:${endpoint}/${window}`;
  await record.lineage.addEdges([
    { from: `model:${served}`, to: capture, relation: "predicted" },
    { from: `endpoint:${endpoint}`, to: capture, relation: "captured" },
    { from: capture, to: `report:${saved.monitor}/${window}`, relation: "judged_by" },
  ]);
}
