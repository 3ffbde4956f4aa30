import type { Command } from "commander";
import { startInBackground } from "../background.ts";
import { type CommonOptions, commandGroup, subcommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { printJson, printLine, printTable } from "../terminal/output.ts";

export function command(): Command {
  const schedule = commandGroup("schedule", "Schedules of pipelines.");
  subcommand(schedule, "list", "Schedules and when they are due").action(list);
  subcommand(schedule, "pause <pipeline>", "No firing until resumed").action(
    (pipeline: string, options: CommonOptions) => change("schedules.pause", pipeline, options),
  );
  subcommand(schedule, "resume <pipeline>", "Fire again").action((pipeline: string, options: CommonOptions) =>
    change("schedules.resume", pipeline, options),
  );
  subcommand(
    schedule,
    "backfill <pipeline> <from> <to>",
    "One run for each due instant from (inclusive) to (exclusive)",
  ).action(backfill);
  return schedule;
}

async function list(options: CommonOptions): Promise<void> {
  await withSession(options, async ({ client }) => {
    const items = await Array.fromAsync(client.all("schedules.list"));
    if (options.json) return printJson(items);
    if (items.length === 0) return printLine("No pipeline has a schedule.");
    printTable(
      ["pipeline", "cron", "time zone", "state", "next", "last due"],
      items.map((item) => [
        item.pipeline,
        item.schedule.cron,
        item.schedule.timezone ?? "UTC",
        item.paused ? "paused" : "active",
        item.next,
        item.lastDue,
      ]),
    );
  });
}

async function change(
  route: "schedules.pause" | "schedules.resume",
  pipeline: string,
  options: CommonOptions,
): Promise<void> {
  await withSession(options, async ({ client }) => {
    const schedule = await client.call(route, { params: { pipeline } });
    if (options.json) printJson(schedule);
    else printLine(`${pipeline} is ${schedule.paused ? "paused" : "active"}`);
  });
}

async function backfill(pipeline: string, from: string, to: string, options: CommonOptions): Promise<void> {
  await startInBackground(options);
  await withSession(options, async ({ client }) => {
    const { runs } = await client.call("schedules.backfill", { params: { pipeline }, body: { from, to } });
    if (options.json) return printJson(runs);
    printTable(
      ["due", "run", ""],
      runs.map((run) => [run.due, run.runId, run.created ? "created" : "was run already"]),
    );
    if (runs.some((run) => run.created))
      printLine("They run in the background: `espalier runs list` shows how far they are.");
  });
}
