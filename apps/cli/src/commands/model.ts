import { EspalierError } from "@espalier/core";
import type { Command } from "commander";
import { type CommonOptions, commandGroup, subcommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { formatInstant, printJson, printLine, printTable } from "../terminal/output.ts";

export function command(): Command {
  const model = commandGroup("model", "Registered models.");
  subcommand(model, "list", "Models and their aliases").action(list);
  subcommand(model, "show <name>", "Versions of a model").action(show);
  subcommand(model, "promote <name@version> <alias>", "Point an alias, such as champion, at a version")
    .option("--from <version>", "only if the alias points at this version now (none: at nothing)")
    .action(promote);
  return model;
}

async function list(options: CommonOptions): Promise<void> {
  await withSession(options, async ({ client }) => {
    const items = await Array.fromAsync(client.all("models.list"));
    if (options.json) return printJson(items);
    if (items.length === 0) return printLine("No models yet. A `register` step of a pipeline makes the first version.");
    printTable(
      ["model", "versions", "aliases"],
      items.map((item) => [item.name, item.versions, aliasText(item.aliases)]),
    );
  });
}

function aliasText(aliases: Record<string, number>): string {
  return Object.entries(aliases)
    .map(([alias, version]) => `${alias}=${version}`)
    .join(" ");
}

async function show(name: string, options: CommonOptions): Promise<void> {
  await withSession(options, async ({ client }) => {
    const model = await client.call("models.show", { params: { name } });
    const versions = await Array.fromAsync(client.all("models.versions", { params: { name } }));
    if (options.json) return printJson({ ...model, versions });
    printLine(`${model.name}  ${aliasText(model.aliases)}`);
    printTable(
      ["version", "gate", "aliases", "run", "created", "digest"],
      versions.map((item) => [
        item.version,
        item.gate,
        item.aliases.join(" "),
        item.runId,
        formatInstant(item.createdAt),
        item.artifact?.digest.slice(0, 19) ?? "by address",
      ]),
    );
  });
}

async function promote(place: string, alias: string, options: CommonOptions & { from?: string }): Promise<void> {
  const match = /^([^@]+)@(.+)$/.exec(place);
  if (match?.[1] === undefined || match[2] === undefined) {
    throw new EspalierError("INVALID_INPUT", `"${place}" is not name@version`, {
      hint: "For example: flights-delay@3.",
    });
  }
  const name = match[1];
  const wanted = /^\d+$/.test(match[2]) || match[2] === "latest" ? match[2] : `@${match[2]}`;
  await withSession(options, async ({ client }) => {
    const { version } = await client.call("models.version", { params: { name, version: wanted } });
    const from = options.from === undefined ? {} : { from: options.from === "none" ? null : Number(options.from) };
    const model = await client.call("models.promote", { params: { name, alias }, body: { version, ...from } });
    if (options.json) printJson(model);
    else printLine(`${name}@${alias} is version ${model.aliases[alias]}`);
  });
}
