import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  alertmanagerConfiguration,
  EspalierError,
  grafanaDashboard,
  type Json,
  prometheusConfiguration,
  prometheusRules,
  rulesFile,
  type Watched,
} from "@espalier/core";
import { loadProject } from "@espalier/host";
import { stringify } from "yaml";
import type { CommonOptions } from "./project-command.ts";
import { type Session, withSession } from "./session.ts";
import { printJson, printLine } from "./terminal/output.ts";

export interface ExportOptions extends CommonOptions {
  out: string;
  alertmanager?: string;
  webhook?: string;
}

const defaultPort = 7878;

const writers: Readonly<Record<string, (watched: Watched, options: ExportOptions) => Record<string, string>>> = {
  prometheus: (watched, options) => ({
    "prometheus.yml": yaml(prometheusConfiguration(watched, options.alertmanager)),
    [rulesFile]: yaml(prometheusRules(watched)),
    ...(options.webhook === undefined ? {} : { "alertmanager.yml": yaml(alertmanagerConfiguration(options.webhook)) }),
  }),
  grafana: (watched) => ({
    [`espalier-${watched.project}.json`]: `${JSON.stringify(grafanaDashboard(watched), undefined, 2)}\n`,
  }),
};
const exportTargets = Object.keys(writers);

const yaml = (document: Json): string => stringify(document, { lineWidth: 0, aliasDuplicateObjects: false });

export async function exportMonitoring(target: string, options: ExportOptions): Promise<void> {
  const write = Object.hasOwn(writers, target) ? writers[target] : undefined;
  if (write === undefined) {
    throw new EspalierError("INVALID_INPUT", `There is no export to \`${target}\``, {
      hint: `There are: ${exportTargets.join(", ")}.`,
    });
  }
  await withSession({ ...options, looksOnly: true }, async (session) => {
    const files = write(await watchedOf(session), options);
    mkdirSync(options.out, { recursive: true });
    for (const [name, text] of Object.entries(files)) {
      const path = join(options.out, name);
      // A server that reloads its configuration must never see half of it.
      writeFileSync(`${path}.new`, text);
      renameSync(`${path}.new`, path);
    }
    const paths = Object.keys(files).map((name) => join(options.out, name));
    if (options.json) printJson({ files: paths });
    else for (const path of paths) printLine(path);
  });
}

async function watchedOf({ client, projectDirectory }: Session): Promise<Watched> {
  const { name, config } = await loadProject(projectDirectory);
  const [monitors, endpoints] = await Promise.all([
    client.call("monitors.list", { query: { limit: 200 } }),
    client.call("endpoints.list", { query: { limit: 200 } }),
  ]);
  const { url, port = defaultPort } = config.control_plane ?? {};
  return {
    project: name,
    controlPlane: url === undefined ? `127.0.0.1:${port}` : new URL(url).host,
    monitors: monitors.items.filter(({ enabled }) => enabled),
    endpoints: endpoints.items.map((endpoint) => ({
      name: endpoint.name,
      ...(endpoint.url === undefined ? {} : { address: new URL(endpoint.url).host }),
    })),
  };
}
