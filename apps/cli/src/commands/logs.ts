import { EspalierError } from "@espalier/core";
import type { Command } from "commander";
import { type CommonOptions, projectCommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { printJson } from "../terminal/output.ts";

interface LogsOptions extends CommonOptions {
  follow?: boolean;
  attempt?: string;
}

export function command(): Command {
  return projectCommand("logs", "Print a step's log.")
    .argument("<run>", "a run, or <run>/<step>")
    .argument("[step]", "the step")
    .option("-f, --follow", "go on until the step ends")
    .option("--attempt <number>", "which attempt (default: the newest)")
    .action(logs);
}

/** `run/step` or `run/step[3]`. */
export function splitStep(place: string): { runId: string; step: string; branch: number } {
  const match = /^([^/]+)\/([a-z][a-z0-9_]*)(?:\[(\d+)\])?$/.exec(place);
  if (match?.[1] === undefined || match[2] === undefined) {
    throw new EspalierError("INVALID_INPUT", `"${place}" is not <run>/<step>`, { hint: "For example: latest/train." });
  }
  return { runId: match[1], step: match[2], branch: match[3] === undefined ? -1 : Number(match[3]) };
}

async function logs(run: string, step: string | undefined, options: LogsOptions): Promise<void> {
  const place = splitStep(step === undefined ? run : `${run}/${step}`);
  const params = { runId: place.runId, step: place.step };
  const which = {
    branch: place.branch,
    ...(options.attempt === undefined ? {} : { attempt: Number(options.attempt) }),
  };
  await withSession(options, async ({ client }) => {
    if (options.follow) {
      for await (const { data } of client.events("logs.follow", { params, query: which }))
        process.stdout.write(data.text);
      return;
    }
    let offset = 0;
    for (;;) {
      const chunk = await client.call("logs.get", { params, query: { ...which, offset } });
      if (options.json) return printJson(chunk);
      process.stdout.write(chunk.text);
      if (chunk.next === offset) return;
      offset = chunk.next;
    }
  });
}
