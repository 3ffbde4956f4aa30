import type { Command } from "commander";
import { type CommonOptions, projectCommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { formatBytes, printJson, printLine } from "../terminal/output.ts";

export function command(): Command {
  return projectCommand(
    "gc",
    "Preview what no run, dataset or model uses; --sweep puts it in quarantine for seven days.",
  )
    .option("--sweep", "do it")
    .option("--stack <name>", "the stack whose store is meant")
    .action(gc);
}

async function gc(options: CommonOptions & { sweep?: boolean; stack?: string }): Promise<void> {
  const stack = options.stack === undefined ? {} : { stack: options.stack };
  await withSession(options, async ({ client }) => {
    const report = options.sweep
      ? await client.call("gc.sweep", { body: stack })
      : await client.call("gc.preview", { query: stack });
    if (options.json) return printJson(report);
    const said = ({ blobs, bytes }: { blobs: number; bytes: number }) => `${blobs} blobs, ${formatBytes(bytes)}`;
    printLine(`unused:         ${said(report.unreferenced)}`);
    if (options.sweep) {
      printLine(`to quarantine:  ${said(report.quarantined)} (restorable for seven days)`);
      printLine(`deleted:        ${said(report.deleted)}`);
    } else if (report.unreferenced.blobs > 0)
      printLine("Nothing was changed. `espalier gc --sweep` puts these in quarantine.");
  });
}
