import type { Json } from "../canonical-json.ts";
import type { Watched } from "./watched.ts";

/** Of Grafana 9 and later. */
const schemaVersion = 39;
const columns = 24;
const height = 8;

interface Panel {
  title: string;
  type: "timeseries" | "stat" | "state-timeline";
  unit: string;
  targets: readonly { expr: string; legend: string }[];
}

/** A dashboard as Grafana imports it; the data source is asked for then. Not verified in a running Grafana. */
export function grafanaDashboard({ project, monitors, endpoints }: Watched): { [key: string]: Json } {
  const panels: Panel[] = [];
  if (monitors.length > 0) {
    panels.push({
      title: "Monitors in alert",
      type: "state-timeline",
      unit: "bool_yes_no",
      targets: [
        {
          expr: `max by (monitor, endpoint) (espalier_monitor_status{project="${project}",status="alert"})`,
          legend: "{{endpoint}} {{monitor}}",
        },
      ],
    });
  }
  panels.push({
    title: "Active runs",
    type: "timeseries",
    unit: "short",
    targets: [{ expr: `espalier_active_runs{project="${project}"}`, legend: "{{state}}" }],
  });
  for (const { name } of endpoints) panels.push(...endpointPanels(project, name));
  return {
    uid: `espalier-${project}`.slice(0, 40),
    title: `Espalier: ${project}`,
    tags: ["espalier"],
    schemaVersion,
    version: 1,
    editable: true,
    refresh: "30s",
    time: { from: "now-6h", to: "now" },
    templating: {
      list: [{ name: "datasource", label: "Prometheus", type: "datasource", query: "prometheus", current: {} }],
    },
    panels: panels.map(panelOf),
  };
}

function endpointPanels(project: string, endpoint: string): Panel[] {
  const selector = `project="${project}",endpoint="${endpoint}"`;
  const quantile = (share: number): { expr: string; legend: string } => ({
    expr: `histogram_quantile(${share}, sum by (le, version) (rate(espalier_router_request_duration_seconds_bucket{${selector}}[5m])))`,
    legend: `{{version}} p${share * 100}`,
  });
  return [
    {
      title: `${endpoint}: requests a second, by version`,
      type: "timeseries",
      unit: "reqps",
      targets: [
        { expr: `sum by (version) (rate(espalier_router_requests_total{${selector}}[5m]))`, legend: "{{version}}" },
      ],
    },
    { title: `${endpoint}: latency`, type: "timeseries", unit: "s", targets: [quantile(0.5), quantile(0.99)] },
    {
      title: `${endpoint}: errors of the server`,
      type: "timeseries",
      unit: "percentunit",
      targets: [
        {
          expr: `sum by (version) (rate(espalier_router_requests_total{${selector},status=~"5.."}[5m])) / sum by (version) (rate(espalier_router_requests_total{${selector}}[5m]))`,
          legend: "{{version}}",
        },
      ],
    },
    {
      title: `${endpoint}: replicas that answer`,
      type: "stat",
      unit: "short",
      targets: [{ expr: `sum by (version) (espalier_router_replicas_ready{${selector}})`, legend: "{{version}}" }],
    },
  ];
}

const panelOf = ({ title, type, unit, targets }: Panel, index: number): Json => ({
  id: index + 1,
  title,
  type,
  datasource: { type: "prometheus", uid: "${datasource}" },
  gridPos: { x: (index % 2) * (columns / 2), y: Math.floor(index / 2) * height, w: columns / 2, h: height },
  fieldConfig: { defaults: { unit }, overrides: [] },
  targets: targets.map(({ expr, legend }, target) => ({
    refId: String.fromCharCode(65 + target),
    datasource: { type: "prometheus", uid: "${datasource}" },
    expr,
    legendFormat: legend,
  })),
});
