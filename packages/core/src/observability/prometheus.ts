import type { Json } from "../canonical-json.ts";
import { jobs, type Watched } from "./watched.ts";

export const rulesFile = "espalier.rules.yml";

/** A Prometheus configuration (prometheus.io/docs/prometheus/latest/configuration): a whole one, or the parts to take into one's own. */
export function prometheusConfiguration(watched: Watched, alertmanager: string | undefined): { [key: string]: Json } {
  const { project, controlPlane, endpoints } = watched;
  const targets = endpoints.flatMap(({ name, address }): Json[] =>
    address === undefined ? [] : [{ targets: [address], labels: { project, endpoint: name } }],
  );
  return {
    global: { scrape_interval: "15s", evaluation_interval: "15s" },
    rule_files: [rulesFile],
    ...(alertmanager === undefined
      ? {}
      : { alerting: { alertmanagers: [{ static_configs: [{ targets: [alertmanager] }] }] } }),
    scrape_configs: [
      { job_name: jobs.controlPlane, static_configs: [{ targets: [controlPlane], labels: { project } }] },
      { job_name: jobs.endpoints, static_configs: targets },
    ],
  };
}

interface Rule {
  alert: string;
  expr: string;
  for: string;
  severity: "warning" | "critical";
  labels?: Readonly<Record<string, string>>;
  summary: string;
  description: string;
}

/** Share of answers that are the server's fault, above which somebody is told. */
const errorShare = 0.05;

/** Alerting rules: of each monitor, of each endpoint, and of the control plane that judges them. */
export function prometheusRules(watched: Watched): { [key: string]: Json } {
  return {
    groups: [
      {
        name: `espalier-${watched.project}-monitors`,
        rules: watched.monitors.flatMap((one) => monitorRules(watched, one)),
      },
      {
        name: `espalier-${watched.project}-endpoints`,
        rules: watched.endpoints.flatMap((one) => endpointRules(watched, one)),
      },
      {
        name: `espalier-${watched.project}-control-plane`,
        rules: [
          ruleOf({
            alert: "EspalierControlPlaneDown",
            expr: `up{job="${jobs.controlPlane}",project="${watched.project}"} == 0`,
            for: "5m",
            severity: "critical",
            summary: `The control plane of ${watched.project} does not answer`,
            description: "Endpoints go on serving; schedules, monitors and rollouts stand still.",
          }),
        ],
      },
    ].filter(({ rules }) => rules.length > 0),
  };
}

function monitorRules({ project }: Watched, monitor: Watched["monitors"][number]): Json[] {
  const { name, endpoint, kind, windowDays } = monitor;
  const selector = `project="${project}",monitor="${name}"`;
  const labels = { monitor: name, endpoint, kind };
  return [
    ruleOf({
      alert: "EspalierMonitorAlert",
      expr: `max without (instance, job) (espalier_monitor_status{${selector},status="alert"}) == 1`,
      for: "0s",
      severity: "warning",
      labels,
      summary: `The ${kind} monitor ${name} of endpoint ${endpoint} crossed a threshold`,
      description: `\`espalier monitor show ${name}\` tells which, and which run it started.`,
    }),
    ruleOf({
      alert: "EspalierMonitorSilent",
      expr: `time() - max without (instance, job) (espalier_monitor_window_end_timestamp_seconds{${selector}}) > ${(windowDays + 2) * 86_400}`,
      for: "1h",
      severity: "warning",
      labels,
      summary: `The monitor ${name} has judged nothing for more than ${windowDays + 2} days`,
      description: "Does traffic come, and is it captured?",
    }),
  ];
}

function endpointRules({ project }: Watched, { name }: Watched["endpoints"][number]): Json[] {
  const selector = `project="${project}",endpoint="${name}"`;
  const requests = (more: string): string => `sum(rate(espalier_router_requests_total{${selector}${more}}[5m]))`;
  return [
    ruleOf({
      alert: "EspalierEndpointErrors",
      expr: `${requests(',status=~"5.."')} / ${requests("")} > ${errorShare}`,
      for: "5m",
      severity: "critical",
      labels: { endpoint: name },
      summary: `More than ${errorShare * 100} % of the answers of endpoint ${name} are errors of the server`,
      description: `\`espalier deploy ${name}\` shows its versions, \`espalier rollback ${name}\` returns to the one before.`,
    }),
    ruleOf({
      alert: "EspalierEndpointNotReady",
      expr: `sum(espalier_router_replicas_ready{${selector}}) == 0 or absent(espalier_router_replicas_ready{${selector}})`,
      for: "2m",
      severity: "critical",
      labels: { endpoint: name },
      summary: `No replica of endpoint ${name} answers`,
      description: `\`espalier doctor\` looks for what stands in its way.`,
    }),
  ];
}

const ruleOf = ({ alert, expr, for: held, severity, labels = {}, summary, description }: Rule): Json => ({
  alert,
  expr,
  for: held,
  labels: { severity, ...labels },
  annotations: { summary, description },
});

/**
 * A configuration of Alertmanager: one receiver, told once an endpoint and hour of what is wrong with it; an endpoint that does not answer at all
 * hides that its answers are errors.
 */
export function alertmanagerConfiguration(webhook: string): { [key: string]: Json } {
  return {
    route: {
      receiver: "espalier",
      group_by: ["project", "endpoint", "alertname"],
      group_wait: "10s",
      group_interval: "5m",
      repeat_interval: "1h",
    },
    receivers: [{ name: "espalier", webhook_configs: [{ url: webhook, send_resolved: true }] }],
    inhibit_rules: [
      {
        source_matchers: ['alertname="EspalierEndpointNotReady"'],
        target_matchers: ['alertname="EspalierEndpointErrors"'],
        equal: ["project", "endpoint"],
      },
    ],
  };
}
