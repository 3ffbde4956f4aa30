import type { Monitor, MonitorReport } from "@espalier/contract";
import { EspalierError, type Json } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { MonitorReportRow } from "../db/queries/monitors.ts";
import type { HandlersOf, NamesUnder } from "../http/handler.ts";
import { pageOfList } from "../http/page-of-list.ts";
import { judgeMonitor, judgeWindowNow, type StoredJudgement } from "../monitoring/judge-monitor.ts";
import type { MonitorSettings } from "../monitoring/monitor-settings.ts";
import { monitorPorts, projectMonitors } from "../monitoring/plane-monitors.ts";
import { dayMilliseconds, dayOf, startOfDay } from "../monitoring/windows.ts";

export function monitorHandlers(plane: ControlPlane): HandlersOf<NamesUnder<"monitors">> {
  const { record, project } = plane;
  const settingsOf = async (name: string): Promise<MonitorSettings> => {
    const found = (await projectMonitors(plane)).find((monitor) => monitor.name === name);
    if (found !== undefined) return found;
    throw new EspalierError("NOT_FOUND", `There is no monitor ${name}`, {
      at: "espalier.yaml",
      hint: "Monitors are declared under `monitors:` in espalier.yaml.",
    });
  };
  return {
    "monitors.list": async ({ query }) => {
      const monitors = (await projectMonitors(plane)).sort((a, b) => (a.name < b.name ? -1 : 1));
      const page = pageOfList(monitors, query);
      const items = page.items.map(async (settings): Promise<Monitor> => {
        const [last] = (await record.monitors.reports(settings.name, { limit: 1 })).items;
        return {
          name: settings.name,
          endpoint: settings.endpoint,
          kind: settings.kind,
          windowDays: settings.windowLength / dayMilliseconds,
          enabled: settings.enabled,
          ...(last === undefined ? {} : { lastReport: { asOf: dayOf(last.windowEnd), status: last.status } }),
          config: JSON.parse(JSON.stringify(project.config.monitors?.[settings.name] ?? {})) as Json,
        };
      });
      return { ...page, items: await Promise.all(items) };
    },
    "monitors.reports": async ({ params, query }) => {
      const { endpoint } = await settingsOf(params.name);
      const page = await record.monitors.reports(params.name, query);
      return { ...page, items: page.items.map((row) => reportOf(row, endpoint)) };
    },
    "monitors.run": async ({ params, body }) => {
      const settings = await settingsOf(params.name);
      const asOf = body?.asOf === undefined ? Date.now() : Date.parse(body.asOf);
      const ports = monitorPorts(plane);
      const judged = await judgeMonitor(ports, settings, asOf);
      const delay = settings.kind === "performance" ? settings.with.label_delay : 0;
      const end = startOfDay(asOf - delay);
      const newest = judged.at(-1)?.window ?? { start: end - settings.windowLength, end };
      if (judged.length === 0) await judgeWindowNow(ports, settings, newest, asOf);
      const row = await record.monitors.report(settings.name, newest.start, newest.end);
      if (row === undefined) throw new EspalierError("INTERNAL", `The monitor ${settings.name} left no report`);
      return reportOf(row, settings.endpoint);
    },
  };
}

function reportOf(row: MonitorReportRow, endpoint: string): MonitorReport {
  const judgement = row.report as unknown as StoredJudgement;
  return {
    id: `${row.monitor}/${dayOf(row.windowStart)}/${dayOf(row.windowEnd)}`,
    monitor: row.monitor,
    endpoint,
    asOf: dayOf(row.windowEnd),
    windowFrom: dayOf(row.windowStart),
    windowTo: dayOf(row.windowEnd),
    status: row.status,
    summary: [judgement.summary, judgement.action].filter((text) => text !== undefined).join(" "),
    rows: judgement.rows,
    createdAt: row.createdAt,
    ...(row.runId === undefined ? {} : { triggeredRunId: row.runId }),
    results: row.report,
  };
}
