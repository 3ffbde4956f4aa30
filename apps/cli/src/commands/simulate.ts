import { EspalierError } from "@espalier/core";
import type { Command } from "commander";
import { createLogUpdate } from "log-update";
import colors from "picocolors";
import { type CommonOptions, projectCommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { formatSeconds, printJson, printLine } from "../terminal/output.ts";

interface SimulateOptions extends CommonOptions {
  from?: string;
  to?: string;
  config?: string;
  seed?: string;
}

export function command(): Command {
  return projectCommand(
    "simulate",
    "Replay data as traffic against an endpoint, day by day, with labels that arrive later.",
  )
    .argument("<endpoint>", "the endpoint")
    .option("--from <date>", "first day")
    .option("--to <date>", "day after the last")
    .option("--config <file>", "the simulation's file (default: the project's only one)")
    .option("--seed <number>", "decides which rows travel as single requests")
    .action(simulate);
}

async function simulate(endpoint: string, options: SimulateOptions): Promise<void> {
  await withSession(options, async ({ client }) => {
    const started = await client.call("simulations.start", {
      body: {
        endpoint,
        ...(options.from === undefined ? {} : { from: options.from }),
        ...(options.to === undefined ? {} : { to: options.to }),
        ...(options.config === undefined ? {} : { config: options.config }),
        ...(options.seed === undefined ? {} : { seed: Number(options.seed) }),
      },
    });
    const screen = options.json || !process.stdout.isTTY ? undefined : createLogUpdate(process.stdout);
    let month = "";
    for await (const { data } of client.events("simulations.events", { params: { simulationId: started.id } })) {
      const line = `${data.day ?? data.from}  day ${data.daysDone}/${data.daysTotal}  ${data.rows.toLocaleString("en")} rows  ${data.requests.toLocaleString("en")} requests  ${data.errors} errors`;
      if (screen !== undefined) screen(line);
      else if (!options.json && data.day !== undefined && data.day.slice(0, 7) !== month) {
        month = data.day.slice(0, 7);
        printLine(line);
      }
      if (data.state !== "running") break;
    }
    screen?.done();
    const ended = await client.call("simulations.get", { params: { simulationId: started.id } });
    if (ended.state === "failed") {
      throw new EspalierError("UNAVAILABLE", ended.error ?? "The simulation failed", {
        hint: "The same command goes on after the last finished day.",
      });
    }
    if (options.json) return printJson(ended);
    const took = formatSeconds((ended.finishedAt ?? ended.startedAt) - ended.startedAt);
    printLine(
      `${colors.green(ended.state)} in ${took}: ${ended.daysDone} days, ${ended.rows.toLocaleString("en")} rows, ${ended.requests.toLocaleString("en")} requests, ${ended.errors} errors`,
    );
  });
}
