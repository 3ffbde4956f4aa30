import { EspalierError } from "@espalier/core";
import type { Command } from "commander";
import colors from "picocolors";
import { type CommonOptions, collectList, collectParameter, projectCommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { printJson, printLine, printTable } from "../terminal/output.ts";
import { onlyPipeline } from "./run.ts";

interface PlanOptions extends CommonOptions {
  param?: Record<string, string | number | boolean>;
  stack?: string;
  only?: string[];
  from?: string[];
  force?: boolean;
}

export function command(): Command {
  return projectCommand("plan", "What a run would do, and every fault that would stop it. Nothing runs.")
    .argument("[pipeline]", "name or file of the pipeline")
    .option("-p, --param <key=value>", "a parameter, repeatable", collectParameter)
    .option("--stack <name>", "the stack to plan for")
    .option("--only <steps>", "only these steps", collectList)
    .option("--from <steps>", "these steps and all that depends on them", collectList)
    .option("--force", "as if nothing were cached")
    .action(plan);
}

async function plan(pipeline: string | undefined, options: PlanOptions): Promise<void> {
  await withSession(options, async ({ client }) => {
    const planned = await client.call("plan.make", {
      body: {
        pipeline: pipeline ?? (await onlyPipeline(client)),
        ...(options.param === undefined ? {} : { params: options.param }),
        ...(options.stack === undefined ? {} : { stack: options.stack }),
        options: {
          ...(options.only === undefined ? {} : { only: options.only }),
          ...(options.from === undefined ? {} : { from: options.from }),
          ...(options.force === undefined ? {} : { force: options.force }),
        },
      },
    });
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
