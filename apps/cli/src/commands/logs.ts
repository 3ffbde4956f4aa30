import type { Client } from "@espalier/contract";
import { EspalierError } from "@espalier/core";
import type { Command } from "commander";
import { type CommonOptions, projectCommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { printJson, printLine } from "../terminal/output.ts";

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

type Place = ReturnType<typeof splitStep>;

async function logs(run: string, step: string | undefined, options: LogsOptions): Promise<void> {
  await withSession(options, async ({ client }) => {
    if (step !== undefined || run.includes("/")) {
      return printLog(client, splitStep(step === undefined ? run : `${run}/${step}`), options);
    }
    const places = await stepsWithLog(client, run, options);
    for (const place of places) {
      if (places.length > 1 && !options.json) printLine(`==> ${nameOf(place)} <==`);
      await printLog(client, place, options);
    }
  });
}

const nameOf = ({ step, branch }: Place): string => (branch === -1 ? step : `${step}[${branch}]`);

/** Every step of a run that ran, in the order in which they began; to follow, those that may still run as well. */
async function stepsWithLog(client: Client, run: string, { follow }: LogsOptions): Promise<Place[]> {
  const detail = await client.call("runs.get", { params: { runId: run } });
  const wanted = detail.steps
    .filter(({ state }) => ["succeeded", "failed", "cancelled", "running"].includes(state) || follow)
    .filter(({ state }) => state !== "cached" && state !== "skipped")
    .sort((a, b) => (a.startedAt ?? Number.POSITIVE_INFINITY) - (b.startedAt ?? Number.POSITIVE_INFINITY));
  return wanted.map(({ step, branch }) => ({ runId: detail.run.id, step, branch }));
}

async function printLog(client: Client, place: Place, options: LogsOptions): Promise<void> {
  const params = { runId: place.runId, step: place.step };
  const which = {
    branch: place.branch,
    ...(options.attempt === undefined ? {} : { attempt: Number(options.attempt) }),
  };
  if (options.follow) {
    // `| head` has read enough.
    for await (const { data } of client.events("logs.follow", { params, query: which }))
      if (!process.stdout.writable) return;
      else process.stdout.write(data.text);
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
}
