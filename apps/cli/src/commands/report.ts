import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import colors from "picocolors";
import { type CommonOptions, projectCommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { printJson, printLine } from "../terminal/output.ts";

export function command(): Command {
  return projectCommand("report", "What happened at each milestone: lines here, plots in one self-contained HTML file.")
    .option("-o, --output <file>", "where the page goes (default: espalier-report.html in the project)")
    .action(report);
}

async function report(options: CommonOptions & { output?: string }): Promise<void> {
  await withSession(options, async ({ client, projectDirectory }) => {
    const story = await client.call("report.get");
    const path = options.output ?? join(projectDirectory, "espalier-report.html");
    const page = await client.bytes("report.html");
    await pipeline(Readable.fromWeb(page as Parameters<typeof Readable.fromWeb>[0]), createWriteStream(path));
    if (options.json) return printJson(story);
    const lines =
      typeof story === "object" && story !== null && "lines" in story && Array.isArray(story.lines) ? story.lines : [];
    for (const line of lines) printLine(String(line));
    printLine(`\n${colors.bold(path)}`);
  });
}
