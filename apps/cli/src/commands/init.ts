import { access, cp, mkdir, readdir, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { EspalierError } from "@espalier/core";
import { examplesDirectory } from "@espalier/host";
import type { Command } from "commander";
import { type CommonOptions, projectCommand } from "../project-command.ts";
import { printJson, printLine } from "../terminal/output.ts";
import { wrapScripts } from "../wrap-scripts.ts";

interface InitOptions extends CommonOptions {
  here?: boolean;
  example: string;
}

export function command(): Command {
  return projectCommand(
    "init",
    "Start a project: a copy of an example, or --here around the scripts that are there (none is changed).",
  )
    .argument("[folder]", "where the example goes")
    .option("--example <name>", "which example", "flights-delay")
    .option("--here", "write espalier.yaml and a pipeline around the scripts of this folder")
    .action(init);
}

async function init(folder: string | undefined, options: InitOptions): Promise<void> {
  const written = options.here
    ? await initHere(resolve(options.project ?? "."))
    : await initExample(folder, options.example);
  if (options.json) return printJson({ written });
  for (const path of written) printLine(`wrote ${path}`);
  printLine(
    options.here
      ? "Next: read the pipeline, then `espalier plan` and `espalier run`."
      : `Next: cd ${folder ?? options.example} && espalier plan`,
  );
}

async function initExample(folder: string | undefined, example: string): Promise<string[]> {
  const source = examplesDirectory();
  const known = (await readdir(source, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
  if (!known.includes(example)) {
    throw new EspalierError("NOT_FOUND", `There is no example "${example}"`, { hint: `Known: ${known.join(", ")}.` });
  }
  const target = resolve(folder ?? example);
  await mkdir(target, { recursive: true });
  if ((await readdir(target)).length > 0) {
    throw new EspalierError("ALREADY_EXISTS", "The folder is not empty; nothing was written", {
      at: target,
      hint: "Name another folder, or use `espalier init --here`.",
    });
  }
  await cp(join(source, example), target, {
    recursive: true,
    filter: (path) =>
      ![".espalier", "node_modules", "__pycache__", "data"].includes(basename(path)) && !path.endsWith(".test.ts"),
  });
  return [target];
}

async function initHere(directory: string): Promise<string[]> {
  const exists = (name: string) =>
    access(join(directory, name)).then(
      () => true,
      () => false,
    );
  if (await exists("espalier.yaml")) {
    throw new EspalierError("ALREADY_EXISTS", "This folder is a project already; nothing was written", {
      at: join(directory, "espalier.yaml"),
      hint: "`espalier plan` shows what its pipeline would do.",
    });
  }
  const { config, pipeline, pipelineName } = await wrapScripts(directory);
  const pipelinePath = join("pipelines", `${pipelineName}.yaml`);
  if (await exists(pipelinePath)) {
    throw new EspalierError("ALREADY_EXISTS", "A pipeline of that name is there already; nothing was written", {
      at: pipelinePath,
    });
  }
  await mkdir(join(directory, "pipelines"), { recursive: true });
  await writeFile(join(directory, pipelinePath), pipeline, { flag: "wx" });
  await writeFile(join(directory, "espalier.yaml"), config, { flag: "wx" });
  return ["espalier.yaml", pipelinePath];
}
