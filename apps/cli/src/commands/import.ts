import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import { type CommonOptions, commandGroup, subcommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { printJson, printTable } from "../terminal/output.ts";
import { followTransfer, mlflowCredentials } from "../transfer-command.ts";

interface ImportOptions extends CommonOptions {
  artifacts: boolean;
  artifactRoot?: string;
  experimentPrefix?: string;
  modelPrefix?: string;
}

export function command(): Command {
  const group = commandGroup("import", "Bring what a team has elsewhere. The same command goes on where one stopped.");
  subcommand(group, "mlflow <source>", "From an MLflow server, an mlruns folder or an SQLite store (mlflow.db)")
    .option("--no-artifacts", "leave the files where they are")
    .option(
      "--artifact-root <folder>",
      "where the files of an SQLite store lie (default: mlartifacts or mlruns beside it)",
    )
    .option("--experiment-prefix <text>", "put before the names of experiments")
    .option("--model-prefix <text>", "put before the names of registered models")
    .action(importMlflow);
  subcommand(group, "list", "Imports and exports so far").action(list);
  return group;
}

async function importMlflow(source: string, options: ImportOptions): Promise<void> {
  const credentials = /^https?:/.test(source) ? mlflowCredentials() : undefined;
  await withSession(options, async ({ client }) => {
    const started = await client.call("transfers.import", {
      body: {
        // The control plane may stand in another folder.
        source: existsSync(source) ? resolve(source) : source,
        artifacts: options.artifacts,
        ...(options.artifactRoot === undefined ? {} : { artifactRoot: resolve(options.artifactRoot) }),
        ...(options.experimentPrefix === undefined ? {} : { experimentPrefix: options.experimentPrefix }),
        ...(options.modelPrefix === undefined ? {} : { modelPrefix: options.modelPrefix }),
        ...(credentials === undefined ? {} : { credentials }),
      },
    });
    await followTransfer(client, started, options.json ?? false);
  });
}

async function list(options: CommonOptions): Promise<void> {
  await withSession(options, async ({ client }) => {
    const { items } = await client.call("transfers.list", { query: { limit: 50 } });
    if (options.json) return printJson(items);
    printTable(
      ["started", "", "peer", "state", "by"],
      items.map((one) => [
        new Date(one.startedAt).toISOString().slice(0, 19),
        one.direction,
        one.peer,
        one.state,
        one.startedBy,
      ]),
    );
  });
}
