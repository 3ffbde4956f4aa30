import { commandTable } from "./command-table.ts";

/** The page of `espalier --help`. */
export function renderHelp(): string {
  const names = Object.values(commandTable).flatMap((group) => Object.keys(group));
  const width = Math.max(...names.map((name) => name.length)) + 2;
  const lines = ["Usage: espalier <command> [options]", ""];
  for (const [group, commands] of Object.entries(commandTable)) {
    lines.push(`${group}:`);
    for (const [name, { summary }] of Object.entries(commands)) lines.push(`  ${name.padEnd(width)}${summary}`);
    lines.push("");
  }
  lines.push("Every command takes --help, --json and --project <folder>. Begin with: espalier init", "");
  return lines.join("\n");
}
