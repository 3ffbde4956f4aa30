import { EspalierError } from "@espalier/core";
import type { Command } from "commander";
import { type CommonOptions, collectList, commandGroup, subcommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { formatBytes, formatInstant, printJson, printLine, printTable } from "../terminal/output.ts";

export function command(): Command {
  const dataset = commandGroup("dataset", "Versions of data.");
  subcommand(dataset, "log <name> <path>", "Take a file or folder of the project as a new version").action(log);
  subcommand(dataset, "list", "Datasets").action(list);
  subcommand(dataset, "show <name[@version]>", "One version, and the list of all").action(show);
  subcommand(dataset, "diff <versions...>", "<name> <from> <to>: schema, counts, column statistics; rows when keyed")
    .option("--key <columns>", "key columns, separated by commas", collectList)
    .action(diff);
  subcommand(dataset, "checkout <name[@version]> <path>", "Write a version's content to a place in the project")
    .option("--overwrite", "replace what is there")
    .action(checkout);
  return dataset;
}

function splitVersion(place: string): { name: string; version: string } {
  const [name = "", version = "latest", ...rest] = place.split("@");
  if (name === "" || rest.length > 0) throw new EspalierError("INVALID_INPUT", `"${place}" is not name@version`);
  return { name, version };
}

async function log(name: string, path: string, options: CommonOptions): Promise<void> {
  await withSession(options, async ({ client }) => {
    const version = await client.call("datasets.log", { body: { name, path } });
    if (options.json) return printJson(version);
    const size = formatBytes(version.artifact.size);
    printLine(
      `${name}@${version.version} ${version.created ? "logged" : "is this content already"}: ${size}, ${version.artifact.digest}`,
    );
  });
}

async function list(options: CommonOptions): Promise<void> {
  await withSession(options, async ({ client }) => {
    const items = await Array.fromAsync(client.all("datasets.list"));
    if (options.json) return printJson(items);
    if (items.length === 0) return printLine("No datasets yet. Log one: espalier dataset log <name> <path>");
    printTable(
      ["dataset", "versions", "latest", "since"],
      items.map((item) => [item.name, item.versions, item.latest ?? 0, formatInstant(item.createdAt)]),
    );
  });
}

async function show(place: string, options: CommonOptions): Promise<void> {
  const params = splitVersion(place);
  await withSession(options, async ({ client }) => {
    const version = await client.call("datasets.show", { params });
    const versions = await Array.fromAsync(client.all("datasets.versions", { params: { name: params.name } }));
    if (options.json) return printJson({ ...version, versions });
    printLine(`${version.name}@${version.version}  ${version.artifact.digest}  ${formatBytes(version.artifact.size)}`);
    if (version.rows !== undefined) printLine(`${version.rows.toLocaleString("en")} rows`);
    if (version.columns !== undefined)
      printTable(
        ["column", "type"],
        version.columns.map((column) => [column.name, column.type]),
      );
    printLine();
    printTable(
      ["version", "size", "created", "run"],
      versions.map((item) => [
        item.version,
        formatBytes(item.artifact.size),
        formatInstant(item.createdAt),
        item.runId,
      ]),
    );
  });
}

/** `rows 1 2` or `rows@1 rows@2`. */
function twoVersions(words: readonly string[]): { name: string; from: string; to: string } {
  const [name = "", from = "", to = ""] =
    words.length === 2 ? [words[0]?.split("@")[0], words[0]?.split("@")[1], words[1]?.replace(/^.*@/, "")] : words;
  const isOneDataset = words.length === 3 || words[1]?.startsWith(`${name}@`);
  if (!isOneDataset || !/^\d+$/.test(from) || !/^\d+$/.test(to)) {
    throw new EspalierError("INVALID_INPUT", `"${words.join(" ")}" does not name two versions of one dataset`, {
      hint: "For example: espalier dataset diff flights 1 2.",
    });
  }
  return { name, from, to };
}

async function diff(words: string[], options: CommonOptions & { key?: string[] }): Promise<void> {
  const { name, from, to } = twoVersions(words);
  await withSession(options, async ({ client }) => {
    const answer = await client.call("datasets.diff", {
      params: { name },
      query: {
        from: Number(from),
        to: Number(to),
        ...(options.key === undefined ? {} : { key: options.key.join(",") }),
      },
    });
    if (options.json) return printJson(answer);
    if (answer.identical) return printLine(`${name}@${from} and @${to} are the same content.`);
    if (answer.rows !== undefined)
      printLine(`rows ${answer.rows.from.toLocaleString("en")} -> ${answer.rows.to.toLocaleString("en")}`);
    const changed = answer.columns.filter((column) => column.change !== "same");
    printTable(
      ["column", "change", "before", "now"],
      changed.map(({ name, change, from, to }) => [name, change, differing(from, to), differing(to, from)]),
    );
    if (answer.keyed !== undefined) {
      const { key, added, removed, changed: rows } = answer.keyed;
      printLine(`by ${key.join(", ")}: ${added} rows added, ${removed} removed, ${rows} changed`);
    }
    for (const [kind, paths] of Object.entries(answer.files ?? {}))
      for (const path of paths) printLine(`${kind} ${path}`);
  });
}

/** What the other side has not, or has otherwise. */
function differing(statistics: Record<string, unknown> = {}, other: Record<string, unknown> = {}): string {
  return Object.entries(statistics)
    .filter(([name, value]) => name !== "squares" && value !== other[name])
    .map(([name, value]) => `${name} ${typeof value === "number" ? Number(value.toPrecision(6)) : String(value)}`)
    .join(", ");
}

async function checkout(place: string, path: string, options: CommonOptions & { overwrite?: boolean }): Promise<void> {
  const params = splitVersion(place);
  await withSession(options, async ({ client }) => {
    const answer = await client.call("datasets.checkout", {
      params,
      body: { path, ...(options.overwrite === undefined ? {} : { overwrite: options.overwrite }) },
    });
    if (options.json) printJson(answer);
    else printLine(`${params.name}@${answer.version} is at ${answer.path}`);
  });
}
