import type { Client } from "@espalier/contract";
import { EspalierError } from "@espalier/core";
import type { Command } from "commander";
import { type CommonOptions, collectList, collectParameter } from "./project-command.ts";

export interface RunRequestOptions extends CommonOptions {
  param?: Record<string, string>;
  stack?: string;
  only?: string[];
  from?: string[];
  until?: string[];
  force?: boolean;
  date?: string;
}

/** What `run` and `plan` both take: a plan is told the same as the run it foresees. */
export function withRunOptions(command: Command): Command {
  return command
    .argument("[pipeline]", "name or file of the pipeline (default: the project's only one)")
    .option("-p, --param <key=value>", "a parameter, repeatable", collectParameter)
    .option("--stack <name>", "the stack to run on")
    .option("--only <steps>", "only these steps, separated by commas; what they need must be cached", collectList)
    .option("--from <steps>", "these steps and all that depends on them", collectList)
    .option("--until <steps>", "these steps and all that they need, nothing else", collectList)
    .option("--force", "run every step, cached or not")
    .option("--date <date>", "the logical date that run.date means");
}

export async function runRequest(client: Client, pipeline: string | undefined, options: RunRequestOptions) {
  return {
    pipeline: pipeline ?? (await onlyPipeline(client)),
    ...(options.param === undefined ? {} : { params: options.param }),
    ...(options.stack === undefined ? {} : { stack: options.stack }),
    ...(options.date === undefined ? {} : { logicalDate: options.date }),
    options: {
      ...(options.only === undefined ? {} : { only: options.only }),
      ...(options.from === undefined ? {} : { from: options.from }),
      ...(options.until === undefined ? {} : { until: options.until }),
      ...(options.force === undefined ? {} : { force: options.force }),
    },
  };
}

/** The name of the project's only pipeline; several ask for a choice. */
async function onlyPipeline(client: Client): Promise<string> {
  const { items } = await client.call("project.pipelines");
  const [first, second] = items;
  if (first === undefined) {
    throw new EspalierError("NOT_FOUND", "This project has no pipeline", {
      at: "pipelines/",
      hint: "`espalier init --here` writes one.",
    });
  }
  if (second !== undefined) {
    throw new EspalierError("INVALID_INPUT", "This project has several pipelines", {
      hint: `Name one: ${items.map((item) => item.name).join(", ")}.`,
    });
  }
  return first.name;
}
