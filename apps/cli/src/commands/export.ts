import type { Command } from "commander";
import { type CommonOptions, collectList, commandGroup, subcommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { followTransfer, mlflowCredentials } from "../transfer-command.ts";

interface ExportOptions extends CommonOptions {
  artifacts: boolean;
  experimentPrefix?: string;
  experiments?: string[];
}

export function command(): Command {
  const group = commandGroup(
    "export",
    "Take experiments, runs and models elsewhere. The same command goes on where one stopped.",
  );
  subcommand(group, "mlflow <uri>", "Into an MLflow server")
    .option("--no-artifacts", "carry no files")
    .option("--experiment-prefix <text>", "put before the names of experiments over there")
    .option("--experiments <names>", "only these experiments, without the registry (several: a,b)", collectList)
    .action(exportMlflow);
  return group;
}

async function exportMlflow(target: string, options: ExportOptions): Promise<void> {
  const credentials = mlflowCredentials();
  await withSession(options, async ({ client }) => {
    const started = await client.call("transfers.export", {
      body: {
        target,
        artifacts: options.artifacts,
        ...(options.experimentPrefix === undefined ? {} : { experimentPrefix: options.experimentPrefix }),
        ...(options.experiments === undefined ? {} : { experiments: options.experiments }),
        ...(credentials === undefined ? {} : { credentials }),
      },
    });
    await followTransfer(client, started, options.json ?? false);
  });
}
