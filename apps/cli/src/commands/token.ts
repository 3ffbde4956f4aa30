import type { Command } from "commander";
import { type CommonOptions, commandGroup, subcommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { formatInstant, printJson, printLine, printTable } from "../terminal/output.ts";

export function command(): Command {
  const token = commandGroup("token", "Tokens of the API.");
  subcommand(token, "create <name>", "Make a token; its value is shown this once")
    .option("--role <role>", "viewer, editor or admin", "viewer")
    .option("--days <number>", "days until it ends (default: never)")
    .action(create);
  subcommand(token, "list", "Tokens without their values").action(list);
  subcommand(token, "revoke <id>", "End a token at once").action(revoke);
  return token;
}

async function create(name: string, options: CommonOptions & { role: string; days?: string }): Promise<void> {
  await withSession(options, async ({ client }) => {
    const created = await client.call("tokens.create", {
      body: {
        name,
        role: options.role as "viewer",
        ...(options.days === undefined ? {} : { expiresInSeconds: Math.round(Number(options.days) * 86_400) }),
      },
    });
    if (options.json) printJson(created);
    else printLine(created.token);
  });
}

async function list(options: CommonOptions): Promise<void> {
  await withSession(options, async ({ client }) => {
    const items = await Array.fromAsync(client.all("tokens.list"));
    if (options.json) return printJson(items);
    printTable(
      ["id", "name", "role", "created", "expires", "revoked"],
      items.map((item) => [
        item.id,
        item.name,
        item.role,
        formatInstant(item.createdAt),
        formatInstant(item.expiresAt),
        formatInstant(item.revokedAt),
      ]),
    );
  });
}

async function revoke(tokenId: string, options: CommonOptions): Promise<void> {
  await withSession(options, async ({ client }) => {
    await client.call("tokens.revoke", { params: { tokenId } });
    if (options.json) printJson({ id: tokenId });
    else printLine(`${tokenId} is revoked`);
  });
}
