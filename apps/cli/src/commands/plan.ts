import type { Plan } from "@espalier/contract";
import { type ErrorCode, EspalierError } from "@espalier/core";
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
      if (planned.steps.length > 0)
        printTable(
          ["step", "what", "tool", "action", "because"],
          planned.steps.map((step) => [step.step, step.what, step.tool, step.action, step.reason]),
        );
    }
    if (planned.problems.length > 0) {
      throw refusal(planned.problems);
    }
  });
}

/** One fault is the error itself; several are listed below one. */
function refusal(problems: Plan["problems"]): EspalierError {
  const [first] = problems;
  const code = (first?.code ?? "INVALID_PIPELINE") as ErrorCode;
  const details = { faults: problems };
  if (first === undefined || problems.length > 1)
    return new EspalierError(code, `This run can not start: ${problems.length} faults`, { details });
  return new EspalierError(code, first.message, {
    details,
    ...(first.at === undefined ? {} : { at: first.at }),
    ...(first.hint === undefined ? {} : { hint: first.hint }),
  });
}
