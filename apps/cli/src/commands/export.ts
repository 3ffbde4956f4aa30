import { resolve } from "node:path";
import { EspalierError } from "@espalier/core";
import type { Command } from "commander";
import colors from "picocolors";
import { exportAirflow, exportArgo } from "../orchestrator-export.ts";
import { type CommonOptions, collectList, commandGroup, subcommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { formatBytes, printJson, printLine } from "../terminal/output.ts";
import { followTransfer, mlflowCredentials } from "../transfer-command.ts";

interface ExportOptions extends CommonOptions {
  artifacts: boolean;
  experimentPrefix?: string;
  experiments?: string[];
}

export function command(): Command {
  const group = commandGroup(
    "export",
    "Take experiments, runs and models elsewhere (the same command goes on where one stopped), or a pipeline to another orchestrator.",
  );
  subcommand(group, "mlflow <uri>", "Into an MLflow server")
    .option("--no-artifacts", "carry no files")
    .option("--experiment-prefix <text>", "put before the names of experiments over there")
    .option("--experiments <names>", "only these experiments, without the registry (several: a,b)", collectList)
    .action(exportMlflow);
  subcommand(
    group,
    "project",
    "Everything in open formats: MLflow's file store, datasets, artifacts, runs, OpenLineage, a manifest of digests",
  )
    .requiredOption("--out <folder>", "where to; empty, or begun by an earlier try")
    .action(exportProject);
  subcommand(group, "verify <folder>", "Hold an exported folder against its manifest").action(verify);
  pipelineExport(group, "airflow [pipeline]", "A DAG for Apache Airflow 3 that runs the pipeline step by step")
    .option("--start-date <day>", "the first day that a schedule with `catch_up` makes up for")
    .action(exportAirflow);
  pipelineExport(group, "argo [pipeline]", "A WorkflowTemplate, and for a schedule a CronWorkflow, of Argo Workflows")
    .option("--image <image>", "what its pods run: any image with Python 3.8 or newer", "python:3.13-slim")
    .action(exportArgo);
  return group;
}

function pipelineExport(group: Command, usage: string, description: string): Command {
  return subcommand(group, usage, description)
    .requiredOption("--out <folder>", "where the files go")
    .option("--stack <stack>", "the stack to run on (default: the control plane's)")
    .option("--force", "replace files that are there and differ");
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

async function exportProject({ out, ...options }: CommonOptions & { out: string }): Promise<void> {
  await withSession(options, async ({ client }) => {
    const started = await client.call("transfers.exportProject", { body: { folder: resolve(out) } });
    await followTransfer(client, started, options.json ?? false);
  });
}

async function verify(folder: string, options: CommonOptions): Promise<void> {
  const { verifyExport } = await import("../verify-export.ts");
  const report = await verifyExport(resolve(folder));
  if (options.json) printJson(report);
  else {
    for (const { path, what } of report.faults) printLine(`${colors.red("✗")} ${path}: ${what}`);
    for (const path of report.extra) printLine(`${colors.yellow("!")} ${path}: not in the manifest`);
    printLine(`${report.files} files, ${formatBytes(report.bytes)}, ${report.faults.length} not as they were exported`);
  }
  if (report.faults.length > 0) process.exitCode = new EspalierError("CORRUPTED", "").exitCode;
}
