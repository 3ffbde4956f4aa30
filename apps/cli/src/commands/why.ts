import type { Command } from "commander";
import colors from "picocolors";
import { type CommonOptions, projectCommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { printJson, printLine, printTable } from "../terminal/output.ts";
import { splitStep } from "./logs.ts";

export function command(): Command {
  return projectCommand(
    "why",
    "Why a step ran or was cached: which part of its cache key differs from the nearest earlier run.",
  )
    .argument("<run>/<step>", "a run (its id, the beginning of one, or latest) and a step")
    .action(why);
}

async function why(place: string, options: CommonOptions): Promise<void> {
  const { runId, step, branch } = splitStep(place);
  await withSession(options, async ({ client }) => {
    const answer = await client.call("runs.why", { params: { runId, step }, query: { branch } });
    if (options.json) return printJson(answer);
    printLine(`${colors.bold(answer.step)} is ${answer.state}: ${answer.explanation}`);
    if (answer.comparedWith !== undefined) printLine(colors.dim(`compared with run ${answer.comparedWith.runId}`));
    if (answer.differences.length > 0) {
      printTable(
        ["part", "before", "now"],
        answer.differences.map(({ part, before, after }) => [part, shown(before), shown(after)]),
      );
    }
  });
}

function shown(value: unknown): string {
  if (value === undefined) return "(absent)";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
