import type { Command } from "commander";
import { type CommonOptions, projectCommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { printJson, printLine } from "../terminal/output.ts";
import { printEndpoints } from "./deploy.ts";

export function command(): Command {
  return projectCommand("rollback", "Serve again what an endpoint served before its last rollout.")
    .argument("<endpoint>", "the endpoint")
    .option("-m, --reason <text>", "kept in the history")
    .action(async (name: string, options: CommonOptions & { reason?: string }) => {
      await withSession(options, async ({ client }) => {
        const answer = await client.call("endpoints.rollback", {
          params: { name },
          body: options.reason === undefined ? {} : { reason: options.reason },
        });
        if (options.json) return printJson(answer);
        if (answer.unchanged) printLine("unchanged");
        printEndpoints([answer.endpoint]);
      });
    });
}
