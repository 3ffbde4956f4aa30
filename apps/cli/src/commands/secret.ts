import { text } from "node:stream/consumers";
import { EspalierError } from "@espalier/core";
import type { Command } from "commander";
import { type CommonOptions, commandGroup, subcommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { printJson, printLine } from "../terminal/output.ts";

export function command(): Command {
  const secret = commandGroup("secret", "Secrets of steps; values are never printed.");
  subcommand(secret, "set <NAME>", "Store a secret; its value is read from standard input").action(set);
  subcommand(secret, "list", "Names").action(list);
  subcommand(secret, "delete <NAME>", "Delete a secret").action(remove);
  return secret;
}

async function set(name: string, options: CommonOptions): Promise<void> {
  if (process.stdin.isTTY) process.stderr.write(`Value of ${name} (end with Ctrl-D): `);
  const value = (await text(process.stdin)).replace(/\r?\n$/, "");
  if (value === "")
    throw new EspalierError("INVALID_INPUT", "The value is empty", {
      hint: `printf %s "$VALUE" | espalier secret set ${name}`,
    });
  await withSession(options, async ({ client }) => {
    await client.call("secrets.set", { params: { name }, body: { value } });
    if (options.json) printJson({ name });
    else printLine(`${name} is set`);
  });
}

async function list(options: CommonOptions): Promise<void> {
  await withSession(options, async ({ client }) => {
    const { items } = await client.call("secrets.list");
    if (options.json) printJson(items);
    else for (const { name } of items) printLine(name);
  });
}

async function remove(name: string, options: CommonOptions): Promise<void> {
  await withSession(options, async ({ client }) => {
    await client.call("secrets.delete", { params: { name } });
    if (options.json) printJson({ name });
    else printLine(`${name} is deleted`);
  });
}
