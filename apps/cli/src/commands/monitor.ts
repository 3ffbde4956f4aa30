import type { Command } from "commander";
import { exportMonitoring } from "../monitor-export.ts";
import { type CommonOptions, commandGroup, subcommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { printJson, printLine, printTable } from "../terminal/output.ts";

export function command(): Command {
  const monitor = commandGroup("monitor", "Drift and live performance of endpoints.");
  subcommand(monitor, "list", "Monitors and their last reports").action(list);
  subcommand(monitor, "show <name>", "Reports of a monitor")
    .option("--limit <number>", "at most this many", "20")
    .action(show);
  subcommand(monitor, "run <name>", "Judge a window now").option("--as-of <date>", "the window's end").action(run);
  subcommand(
    monitor,
    "export <target>",
    `Scrape configuration, alerting rules and routes (prometheus), or a dashboard (grafana), of all monitors and endpoints`,
  )
    .requiredOption("--out <folder>", "where the files go")
    .option("--alertmanager <address>", "host:port of the Alertmanager that Prometheus tells")
    .option("--webhook <url>", "prometheus: write alertmanager.yml too, which tells this address")
    .action(exportMonitoring);
  return monitor;
}

async function list(options: CommonOptions): Promise<void> {
  await withSession(options, async ({ client }) => {
    const { items } = await client.call("monitors.list");
    if (options.json) return printJson(items);
    if (items.length === 0) return printLine("No monitors. Declare them under `monitors:` in espalier.yaml.");
    printTable(
      ["monitor", "kind", "endpoint", "window", "last report"],
      items.map((item) => [
        item.name,
        item.kind,
        item.endpoint,
        `${item.windowDays} days`,
        item.lastReport === undefined ? "none" : `${item.lastReport.asOf} ${item.lastReport.status}`,
      ]),
    );
  });
}

async function show(name: string, options: CommonOptions & { limit: string }): Promise<void> {
  await withSession(options, async ({ client }) => {
    const { items } = await client.call("monitors.reports", {
      params: { name },
      query: { limit: Number(options.limit) },
    });
    if (options.json) return printJson(items);
    printTable(
      ["as of", "status", "rows", "summary", "started run"],
      items.map((item) => [item.asOf.slice(0, 10), item.status, item.rows, item.summary, item.triggeredRunId]),
    );
  });
}

async function run(name: string, options: CommonOptions & { asOf?: string }): Promise<void> {
  await withSession(options, async ({ client }) => {
    const report = await client.call("monitors.run", {
      params: { name },
      body: options.asOf === undefined ? {} : { asOf: options.asOf },
    });
    if (options.json) return printJson(report);
    printLine(`${report.status}: ${report.summary} (${report.windowFrom} to ${report.windowTo}, ${report.rows} rows)`);
  });
}
