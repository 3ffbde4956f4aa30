import { EspalierError } from "@espalier/core";
import { Command, Help } from "commander";

export interface CommonOptions {
  json?: boolean;
  project?: string;
}

/** Commands are loaded one by one, so that none knows that it stands behind `espalier`. */
const help = { commandUsage: (command: Command): string => `espalier ${new Help().commandUsage(command)}` };

/** A command with the options that all have. */
export function projectCommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .configureHelp(help)
    .option("--json", "print one JSON document")
    .option("--project <folder>", "the project's folder (default: the nearest with an espalier.yaml)")
    .helpOption("-h, --help", "show this help");
}

/**
 * A command that only has sub-commands. It declares no option of its own: Commander would take `--project` from behind the
 * sub-command's name for itself.
 */
export function commandGroup(name: string, description: string): Command {
  return new Command(name).description(description).configureHelp(help).helpOption("-h, --help", "show this help");
}

/** A sub-command that reads its own and its parent's common options. */
export function subcommand(parent: Command, usage: string, description: string): Command {
  return parent
    .command(usage)
    .description(description)
    .option("--json", "print one JSON document")
    .option("--project <folder>", "the project's folder");
}

/** Gathers a repeatable `-p key=value`. Values stay text: only the pipeline knows whether 1.10 is a number or a version. */
export function collectParameter(text: string, earlier: Record<string, string> = {}): Record<string, string> {
  const equals = text.indexOf("=");
  if (equals < 1) {
    throw new EspalierError("INVALID_INPUT", `"${text}" is not key=value`, {
      at: "-p",
      hint: "For example: -p learning_rate=0.2.",
    });
  }
  return { ...earlier, [text.slice(0, equals)]: text.slice(equals + 1) };
}

export function collectList(text: string, earlier: string[] = []): string[] {
  const words = text.split(",").map((word) => word.trim());
  return [...earlier, ...words.filter((word) => word !== "")];
}
