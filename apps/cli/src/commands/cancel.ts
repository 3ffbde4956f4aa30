import type { Command } from "commander";
import { type CommonOptions, projectCommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { followRun } from "../terminal/follow-run.ts";
import { printJson, printLine } from "../terminal/output.ts";

export function command(): Command {
  return projectCommand("cancel", "Stop a run: its steps get SIGTERM, then SIGKILL.")
    .argument("<run>", "a run")
    .action(async (runId: string, options: CommonOptions) => {
      await withSession(options, async ({ client }) => {
        const run = await client.call("runs.cancel", { params: { runId } });
        const detail = await followRun(client, run.id, true);
        if (options.json) printJson(detail.run);
        else printLine(`${detail.run.id} is ${detail.run.state}`);
      });
    });
}
