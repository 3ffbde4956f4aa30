import { EspalierError } from "../errors.ts";
import { type CommandExpression, parseCommand, type QuotingContext } from "./expressions.ts";

/** What an expression becomes: a value, quoted so that it can not become code; or a path below a variable that the step's process has. */
export type Replacement = { value: string } | { variable: string; path?: string };

/** Replaces the expressions of a `run:` command for a POSIX shell, each quoted for the place where it stands. */
export function renderShellCommand(command: string, replace: (expression: CommandExpression) => Replacement): string {
  return parseCommand(command)
    .map((part) => (part.expression === undefined ? part.text : quoted(replace(part.expression), part.context)))
    .join("");
}

function quoted(replacement: Replacement, context: QuotingContext): string {
  if ("value" in replacement) {
    if (replacement.value.includes("\0")) {
      throw new EspalierError("INVALID_INPUT", "A value for a command can not hold a NUL character");
    }
    const inner = replacement.value.replaceAll("'", `'\\''`);
    if (context === "single") return inner;
    return context === "double" ? `"'${inner}'"` : `'${inner}'`;
  }
  const path = `\${${replacement.variable}}${replacement.path === undefined ? "" : `/${replacement.path}`}`;
  if (context === "double") return path;
  return context === "single" ? `'"${path}"'` : `"${path}"`;
}
