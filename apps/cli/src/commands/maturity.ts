import type { CallOutput } from "@espalier/contract";
import type { Command } from "commander";
import colors from "picocolors";
import { type CommonOptions, projectCommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { formatInstant, printJson, printLine } from "../terminal/output.ts";

type Model = CallOutput<"maturity.get">["models"][number];

export function command(): Command {
  return projectCommand(
    "maturity",
    "The project held against published MLOps maturity models, by what its record proves and never by claims.",
  ).action(maturity);
}

async function maturity(options: CommonOptions): Promise<void> {
  await withSession({ ...options, looksOnly: true }, async ({ client }) => {
    const { models } = await client.call("maturity.get");
    if (options.json) return printJson({ models });
    for (const model of models) for (const line of linesOf(model)) printLine(line);
  });
}

function linesOf({ name, source, level, levelName, levels, missing }: Model): string[] {
  const lines = [
    `${colors.bold(name)}`,
    `${colors.dim(source)}`,
    `level ${level} of ${levels.at(-1)?.level ?? 0}: ${levelName}`,
  ];
  for (const { level: of, name: called, criteria } of levels) {
    if (criteria.length === 0) continue;
    lines.push(`  level ${of}, ${called}`);
    for (const { says, isMet, count, atLeast, proofs } of criteria) {
      const [newest] = proofs;
      const told =
        newest === undefined ? "nothing in the record" : `${newest.what}, ${formatInstant(newest.at)} (${newest.id})`;
      const more = count > 1 ? `; ${count} in all` : "";
      const few = !isMet && count > 0 ? ` of ${atLeast} needed` : "";
      lines.push(
        `    ${isMet ? colors.green("✓") : colors.red("✗")} ${says}`,
        colors.dim(`      ${told}${more}${few}`),
      );
    }
  }
  if (missing.length > 0) lines.push(`  ${colors.cyan("next")}`);
  for (const { next } of missing) lines.push(`    ${next}`);
  return [...lines, ""];
}
