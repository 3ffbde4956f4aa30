import { EspalierError } from "@espalier/core";
import type { Command } from "commander";
import colors from "picocolors";
import { projectCommand } from "../project-command.ts";
import { type RunRequestOptions, runRequest, withRunOptions } from "../run-request.ts";
import { withSession } from "../session.ts";
import { printJson, printLine, printTable } from "../terminal/output.ts";

export function command(): Command {
  const described = "What a run would do, and every fault that would stop it. Nothing runs.";
  return withRunOptions(projectCommand("plan", described)).action(plan);
}

async function plan(pipeline: string | undefined, options: RunRequestOptions): Promise<void> {
  await withSession(options, async ({ client }) => {
    const planned = await client.call("plan.make", { body: await runRequest(client, pipeline, options) });
    if (options.json) printJson(planned);
    else {
      printLine(`${colors.bold(planned.pipeline)}  stack ${planned.stack}  ${colors.dim(planned.digest)}`);
      printTable(
        ["step", "what", "tool", "action", "because"],
        planned.steps.map((step) => [step.step, step.what, step.tool, step.action, step.reason]),
      );
    }
    if (planned.problems.length > 0) {
      const first = planned.problems[0];
      throw new EspalierError((first?.code ?? "INVALID_PIPELINE") as "INVALID_PIPELINE", "This run can not start", {
        details: { faults: planned.problems },
      });
    }
  });
}
