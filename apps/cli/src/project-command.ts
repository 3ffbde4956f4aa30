import { Command } from "commander";

export interface CommonOptions {
  json?: boolean;
  project?: string;
}

/** A command with the options that all have. */
export function projectCommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .option("--json", "print one JSON document")
    .option("--project <folder>", "the project's folder (default: the nearest with an espalier.yaml)")
    .helpOption("-h, --help", "show this help");
}

/**
 * A command that only has sub-commands. It declares no option of its own: Commander would take `--project` from behind the
 * sub-command's name for itself.
 */
export function commandGroup(name: string, description: string): Command {
  return new Command(name).description(description).helpOption("-h, --help", "show this help");
}

/** A sub-command that reads its own and its parent's common options. */
export function subcommand(parent: Command, usage: string, description: string): Command {
  return parent
    .command(usage)
    .description(description)
    .option("--json", "print one JSON document")
    .option("--project <folder>", "the project's folder");
}

/** Gathers a repeatable `-p key=value`; values that read as JSON scalars are taken as such. */
export function collectParameter(
  text: string,
  earlier: Record<string, string | number | boolean> = {},
): Record<string, string | number | boolean> {
  const equals = text.indexOf("=");
  if (equals < 1) throw new TypeError(`-p takes key=value, not "${text}"`);
  const value = text.slice(equals + 1);
  return { ...earlier, [text.slice(0, equals)]: scalar(value) };
}

function scalar(text: string): string | number | boolean {
  if (text === "true" || text === "false") return text === "true";
  return /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text) ? Number(text) : text;
}

export function collectList(text: string, earlier: string[] = []): string[] {
  return [...earlier, ...text.split(",").filter((word) => word !== "")];
}
