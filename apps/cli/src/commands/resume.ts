import { terminalRunStates, ulid } from "@espalier/core";
import type { Command } from "commander";
import colors from "picocolors";
import { type CommonOptions, projectCommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { followRun, throwIfFailed } from "../terminal/follow-run.ts";
import { printJson, printLine } from "../terminal/output.ts";

export function command(): Command {
  return projectCommand(
    "resume",
    "Go on with a run: an interrupted one continues, a failed or cancelled one is taken up by a new run.",
  )
    .argument("[run]", "a run (default: latest)", "latest")
    .option("--stack <stack>", "go on in this stack; what the run has made so far is brought to its store")
    .action(async (runId: string, options: CommonOptions & { stack?: string }) => {
      await withSession(options, async ({ client }) => {
        const { run } = await client.call("runs.get", { params: { runId } });
        if (run.state === "succeeded") {
          if (options.json) return printJson({ run, resumed: false });
          return printLine(`${run.id} has succeeded; there is nothing to resume.`);
        }
        const goingOn = terminalRunStates.includes(run.state)
          ? await client.call("runs.resume", {
              params: { runId: run.id },
              // Minted here: asked again after a lost answer, it is the same run.
              body: { id: ulid(), ...(options.stack === undefined ? {} : { stack: options.stack }) },
            })
          : run;
        if (!options.json) printLine(`${colors.bold(goingOn.pipeline)}  run ${goingOn.id}  stack ${goingOn.stack}`);
        const detail = await followRun(client, goingOn.id, options.json);
        throwIfFailed(detail);
        if (options.json) printJson(detail);
        else printLine(colors.green("succeeded"));
      });
    });
}
