import { closest, EspalierError, toEspalierError } from "@espalier/core";
import { CommanderError } from "commander";
import type { CommandModule } from "./command-table.ts";
import { commandTable } from "./command-table.ts";
import { printError } from "./terminal/output.ts";

/** Runs one loaded command; gives the exit code. Actions set `process.exitCode` when a verdict, not an error, decides. */
export async function runCommand(module: CommandModule, words: readonly string[]): Promise<number> {
  const asJson = words.includes("--json");
  const command = module.command().exitOverride();
  for (const sub of command.commands) sub.exitOverride();
  command.configureOutput({ writeErr: () => undefined });
  for (const sub of command.commands) sub.configureOutput({ writeErr: () => undefined });
  try {
    await command.parseAsync([...words], { from: "user" });
    return typeof process.exitCode === "number" ? process.exitCode : 0;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      if (error.code === "commander.help") {
        process.stdout.write(command.helpInformation());
        return 2;
      }
      const message = error.message.replace(/^error: /, "");
      return fail(
        new EspalierError("INVALID_INPUT", message, {
          hint: `\`espalier ${command.name()} --help\` lists what it takes.`,
        }),
        asJson,
      );
    }
    return fail(toEspalierError(error), asJson);
  }
}

function fail(error: EspalierError, asJson: boolean): number {
  printError(error, asJson);
  return error.exitCode;
}

export function unknownCommand(name: string): number {
  const known = Object.values(commandTable).flatMap((group) => Object.keys(group));
  const guess = closest(name, known);
  return fail(
    new EspalierError("INVALID_INPUT", `There is no command "${name}"`, {
      hint: guess === undefined ? "`espalier --help` lists all." : `Did you mean \`espalier ${guess}\`?`,
    }),
    false,
  );
}
