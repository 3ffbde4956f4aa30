import type { AppliedEndpoint } from "@espalier/contract";
import type { Command } from "commander";
import { type CommonOptions, projectCommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { endpointFaults, endpointLines } from "../terminal/endpoint-lines.ts";
import { tellProblems } from "../terminal/faults-error.ts";
import { printJson, printLine } from "../terminal/output.ts";
import { untilServed, whileWaiting } from "../terminal/while-waiting.ts";

interface ApplyOptions extends CommonOptions {
  prune?: boolean;
}

export function command(): Command {
  return projectCommand("apply", "Serve what espalier.yaml declares under `endpoints:`, and follow it from then on.")
    .argument("[endpoints...]", "only these (default: all that are declared)")
    .option("--prune", "stop endpoints that were declared once and no longer are")
    .action(apply);
}

async function apply(names: string[], options: ApplyOptions): Promise<void> {
  await withSession(options, async (session) => {
    const { client } = session;
    const body = { ...(names.length === 0 ? {} : { names }), ...(options.prune === true ? { prune: true } : {}) };
    const { endpoints } = await whileWaiting(untilServed, client.call("endpoints.apply", { body }));
    if (options.json) printJson({ endpoints });
    else if (endpoints.length === 0) printLine("No endpoints. Declare them under `endpoints:` in espalier.yaml.");
    else for (const endpoint of endpoints) for (const line of appliedLines(endpoint)) printLine(line);
    const problems = endpointFaults(endpoints);
    tellProblems(problems, `${problems.length} endpoints are not served as they are declared`, options.json);
    if (endpoints.length > 0 && session.endsWithCommand) {
      process.stderr.write("next  `espalier up` follows what is applied, and brings back what dies\n");
    }
  });
}

const words: Readonly<Record<AppliedEndpoint["outcome"], string>> = {
  done: "done",
  unchanged: "unchanged",
  waiting: "waits",
  held: "left as it is",
  failed: "not done",
  left: "left as it is",
};

function appliedLines(endpoint: AppliedEndpoint): string[] {
  const [first = "", ...more] = endpointLines(endpoint);
  return [`${first}: ${words[endpoint.outcome]}`, ...more];
}
