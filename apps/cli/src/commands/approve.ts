import { EspalierError } from "@espalier/core";
import type { Command } from "commander";
import { startInBackground } from "../background.ts";
import { type CommonOptions, projectCommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { formatInstant, printJson, printLine, printTable } from "../terminal/output.ts";
import { splitStep } from "./logs.ts";

interface ApproveOptions extends CommonOptions {
  reject?: boolean;
  comment?: string;
}

export function command(): Command {
  return projectCommand("approve", "Let a waiting step go on, or refuse it. Without an argument: what waits.")
    .argument("[run]/[step]", "for example latest/approval")
    .option("--reject", "refuse instead")
    .option("-m, --comment <text>", "kept with the decision")
    .action(approve);
}

async function approve(place: string | undefined, options: ApproveOptions): Promise<void> {
  if (place !== undefined) await startInBackground(options);
  await withSession(options, async ({ client }) => {
    if (place === undefined) {
      const { items } = await client.call("approvals.list", { query: { state: "waiting" } });
      if (options.json) return printJson(items);
      if (items.length === 0) return printLine("Nothing waits for approval.");
      return printTable(
        ["run/step", "since", "message"],
        items.map((item) => [`${item.runId}/${item.step}`, formatInstant(item.requestedAt), item.message]),
      );
    }
    const { runId, step, branch } = splitStep(place);
    if (branch !== -1) throw new EspalierError("UNSUPPORTED", "A branch of a mapped step has no approval of its own");
    const decision = options.reject ? "reject" : "approve";
    const answer = await client.call("runs.approve", {
      params: { runId, step },
      body: { decision, ...(options.comment === undefined ? {} : { comment: options.comment }) },
    });
    if (options.json) printJson(answer);
    else printLine(`${step} is ${decision === "approve" ? "approved" : "rejected"}`);
  });
}
