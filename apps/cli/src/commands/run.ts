import { ulid } from "@espalier/core";
import type { Command } from "commander";
import colors from "picocolors";
import { startInBackground } from "../background.ts";
import { projectCommand } from "../project-command.ts";
import { runOrigin } from "../run-origin.ts";
import { type RunRequestOptions, runRequest, withRunOptions } from "../run-request.ts";
import { withSession } from "../session.ts";
import { followRun, throwIfFailed } from "../terminal/follow-run.ts";
import { formatSeconds, printJson, printLine } from "../terminal/output.ts";

interface RunCommandOptions extends RunRequestOptions {
  detach?: boolean;
}

export function command(): Command {
  const described = "Run a pipeline; steps whose cache key is known are taken from earlier runs.";
  return withRunOptions(projectCommand("run", described))
    .option("--detach", "start the run, print its id and return; a background control plane drives it")
    .action(run);
}

async function run(pipeline: string | undefined, options: RunCommandOptions): Promise<void> {
  if (options.detach) await startInBackground(options);
  await withSession(options, async ({ client }) => {
    const origin = runOrigin(process.env);
    const request = await runRequest(client, pipeline, options);
    const body = { id: ulid(), ...request, ...(origin === undefined ? {} : { origin }) };
    const created = await client.call("runs.create", { body });
    if (options.detach) {
      if (options.json) printJson(created);
      else printLine(`${created.id}\n${colors.dim(`espalier runs show ${created.id}`)}`);
      return;
    }
    if (!options.json) printLine(`${colors.bold(created.pipeline)}  run ${created.id}  stack ${created.stack}`);
    const detail = await followRun(client, created.id, options.json);
    throwIfFailed(detail);
    if (options.json) printJson(detail);
    else {
      const { run: ended, counts } = detail;
      const seconds = formatSeconds((ended.finishedAt ?? 0) - ended.createdAt);
      const summary = Object.entries(counts).map(([state, count]) => `${count} ${state}`);
      printLine(`${colors.green("succeeded")} in ${seconds}: ${summary.join(", ")}`);
    }
  });
}
