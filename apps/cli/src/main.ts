#!/usr/bin/env node
import { enableCompileCache } from "node:module";
import { pathToFileURL } from "node:url";
import { commandTable } from "./command-table.ts";
import { renderHelp } from "./help.ts";
import { version } from "./version.ts";

/** Exit codes of the error table; nothing of ours is loaded until the command is known, so that `--help` stays quick. */
async function main(words: readonly string[]): Promise<number> {
  const [name, ...rest] = commandFirst(words);
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    const asked = name === "help" ? rest[0] : undefined;
    if (asked !== undefined) return main([asked, "--help"]);
    process.stdout.write(renderHelp());
    return 0;
  }
  if (name === "--version" || name === "-V") {
    process.stdout.write(`${version}\n`);
    return 0;
  }
  if (name === "builtin-step") return builtinStep(rest);
  const entry = Object.values(commandTable)
    .flatMap((group) => Object.entries(group))
    .find(([known]) => known === name)?.[1];
  // Compiled code is kept between calls, in the temporary folder: a command then starts in about half the time.
  enableCompileCache();
  const { runCommand, unknownCommand } = await import("./run-command.ts");
  return entry === undefined ? unknownCommand(name) : runCommand(await entry.load(), rest);
}

/** Not for people: a launcher calls it where a built-in step runs elsewhere. The step's own program reads its name as the first word. */
async function builtinStep(rest: readonly string[]): Promise<number> {
  const { entryPoint } = await import("@espalier/host");
  process.argv.splice(2, process.argv.length, ...rest);
  await import(pathToFileURL(entryPoint("builtin-step")).href);
  return typeof process.exitCode === "number" ? process.exitCode : 0;
}

/** The options of every command may also stand before its name, as other tools have them. */
function commandFirst(words: readonly string[]): string[] {
  let count = 0;
  while (count < words.length) {
    if (words[count] === "--project") count += 2;
    else if (words[count] === "--json" || words[count]?.startsWith("--project=")) count += 1;
    else break;
  }
  return count >= words.length ? [...words] : [...words.slice(count), ...words.slice(0, count)];
}

/** A reader that has seen enough (`| head`) closes the pipe; what the command does for the project goes on to its end. */
function outliveReader(stream: NodeJS.WriteStream): void {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE" && error.code !== "ERR_STREAM_DESTROYED") throw error;
  });
}

outliveReader(process.stdout);
outliveReader(process.stderr);
const [major = 0] = process.versions.node.split(".").map(Number);
if (major < 24) {
  process.stderr.write(
    `espalier needs Node 24 or newer; this is ${process.versions.node}. On Linux \`npx espalier\` brings its own, elsewhere install Node 24.\n`,
  );
  process.exitCode = 3;
} else {
  process.exitCode = await main(process.argv.slice(2));
}
