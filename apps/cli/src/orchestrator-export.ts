import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import {
  airflowDag,
  airflowLosses,
  argoLosses,
  argoWorkflows,
  EspalierError,
  type Loss,
  type PipelineIr,
} from "@espalier/core";
import { entryPoint, findPipeline, findProject, loadProject, requireStack, wholePipeline } from "@espalier/host";
import { stringify } from "yaml";
import { isDay } from "./is-day.ts";
import type { CommonOptions } from "./project-command.ts";
import { printJson, printLine } from "./terminal/output.ts";
import { type GeneratedFile, writeOnce } from "./write-once.ts";

interface ExportOptions extends CommonOptions {
  out: string;
  stack?: string;
  force?: boolean;
}

interface Exported {
  project: string;
  pipeline: PipelineIr;
  stack?: string;
}

export async function exportAirflow(
  name: string | undefined,
  options: ExportOptions & { startDate?: string },
): Promise<void> {
  const { startDate } = options;
  if (startDate !== undefined && !isDay(startDate)) {
    throw new EspalierError("INVALID_INPUT", `"${startDate}" is no day`, {
      at: "--start-date",
      hint: "For example: 2026-11-01.",
    });
  }
  const exported = { ...(await read(name, options)), ...(startDate === undefined ? {} : { startDate }) };
  const { pipeline } = exported;
  const folder = resolve(options.out);
  const words = startDate === undefined ? "" : ` --start-date ${startDate}`;
  const copied = (entry: "orchestrated-run" | "airflow-operators", file: string): GeneratedFile => ({
    path: join(folder, file),
    text: readFileSync(entryPoint(entry), "utf8"),
  });
  finish(options, airflowLosses(exported), [
    {
      path: join(folder, `espalier_${pipeline.name.replaceAll(/[^a-z0-9]/g, "_")}.py`),
      text: `${heading("airflow", exported, words)}\n${airflowDag(exported)}`,
    },
    copied("airflow-operators", "espalier_airflow.py"),
    copied("orchestrated-run", "espalier_run.py"),
  ]);
}

export async function exportArgo(name: string | undefined, options: ExportOptions & { image: string }): Promise<void> {
  const exported = await read(name, options);
  const program = readFileSync(entryPoint("orchestrated-run"), "utf8");
  const documents = argoWorkflows({ ...exported, program, image: options.image });
  const yaml = documents.map((document) => stringify(document, { lineWidth: 0, aliasDuplicateObjects: false }));
  finish(options, argoLosses({ ...exported, program, image: options.image }), [
    {
      path: join(resolve(options.out), `espalier-${exported.pipeline.name}.yaml`),
      text: `${heading("argo", exported, ` --image ${options.image}`)}${yaml.join("---\n")}`,
    },
  ]);
}

async function read(name: string | undefined, { project: folder, stack }: ExportOptions): Promise<Exported> {
  const directory = await findProject(folder ?? process.cwd());
  const project = await loadProject(directory);
  if (stack !== undefined) requireStack(project, stack);
  const pipeline = wholePipeline(await findPipeline(directory, name ?? "train"));
  return { project: project.name, pipeline, ...(stack === undefined ? {} : { stack }) };
}

const heading = (target: string, { pipeline, stack }: Exported, words: string): string =>
  `# Written by \`espalier export ${target} ${pipeline.name}${stack === undefined ? "" : ` --stack ${stack}`}${words}\`; yours to change. See docs/orchestrators.md.\n`;

function finish(options: ExportOptions, losses: readonly Loss[], files: readonly GeneratedFile[]): void {
  const states = writeOnce(files, options.force);
  if (options.json) {
    printJson({ files: states, losses });
    return;
  }
  for (const { path, written } of states) printLine(`${written ? "written" : "unchanged"}  ${path}`);
  printLine("What is lost, or not as in Espalier:");
  for (const { steps, what } of losses) printLine(`  ${steps.length === 0 ? "" : `${steps.join(", ")}: `}${what}`);
}
