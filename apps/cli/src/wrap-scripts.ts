import { readdir } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { EspalierError } from "@espalier/core";

/** How a script of a kind is started. */
const interpreters: Readonly<Record<string, string>> = {
  // Debian and Ubuntu have no `python`; an environment has both.
  ".py": "python3",
  ".sh": "sh",
  ".R": "Rscript",
  ".jl": "julia",
  ".js": "node",
  ".mjs": "node",
  ".ts": "node",
};

/** The usual order of work, by words in a script's name; what fits none comes last, by name. */
const usualOrder = [
  /download|fetch|ingest|extract|load/,
  /clean|validat|check/,
  /feature|prepare|preprocess|transform|split/,
  /train|fit/,
  /eval|test|score|metric/,
  /register|publish|export/,
  /deploy|serve/,
];

/**
 * A pipeline around the scripts of a folder, each a `run:` step in the usual order of work. Nothing is guessed about their files:
 * comments say how to hand data from step to step.
 */
export async function wrapScripts(
  directory: string,
): Promise<{ config: string; pipeline: string; pipelineName: string }> {
  const scripts = await findScripts(directory);
  if (scripts.length === 0) {
    throw new EspalierError("NOT_FOUND", "There is no script here to put in a pipeline", {
      at: directory,
      hint: `Looked for ${Object.keys(interpreters).join(", ")} in this folder, src/ and scripts/. \`espalier init <folder>\` copies an example.`,
    });
  }
  const entries = await readdir(directory);
  const requirements = ["uv.lock", "pyproject.toml", "requirements.txt"].find((name) => entries.includes(name));
  const pipelineName = "main";
  const lines = [
    "# Written by `espalier init --here` around the scripts it found; it changed none of them.",
    "# A step reads $ESPALIER_INPUTS/<name> and writes $ESPALIER_OUTPUTS/<name>; declare them under inputs: and outputs:,",
    "# then later steps can name them (inputs: { data: earlier_step.output }), and unchanged steps are taken from the cache.",
    `name: ${pipelineName}`,
    "steps:",
  ];
  let before: string | undefined;
  const used = new Set<string>();
  for (const script of scripts) {
    const step = stepName(script, used);
    const interpreter = interpreters[extname(script)] ?? "sh";
    lines.push(`  ${step}:`, `    run: ${interpreter} ${script}`, "    source: .");
    if (interpreter === "python3" && requirements !== undefined)
      lines.push(`    environment: { python: ./${requirements} }`);
    if (before !== undefined) lines.push(`    needs: [${before}]`);
    lines.push("    cache: false # it declares no outputs yet");
    before = step;
  }
  const project =
    basename(directory)
      .toLowerCase()
      .replace(/[^a-z0-9._-]+/g, "-")
      .replace(/^[^a-z0-9]+/, "") || "project";
  const config = `project: ${project}\ndefault_stack: laptop\nstacks:\n  laptop: {} # every tool embedded\n`;
  return { config, pipeline: `${lines.join("\n")}\n`, pipelineName };
}

async function findScripts(directory: string): Promise<string[]> {
  const found: string[] = [];
  for (const folder of ["", "src", "scripts"]) {
    const entries = await readdir(join(directory, folder), { withFileTypes: true }).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT" || error.code === "ENOTDIR") return [];
        throw error;
      },
    );
    for (const entry of entries) {
      const known =
        extname(entry.name) in interpreters && !/(^|[._-])(test|spec|config|conftest|setup|__init__)/.test(entry.name);
      if (entry.isFile() && known) found.push(join(folder, entry.name));
    }
  }
  return found.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

function rank(script: string): number {
  const index = usualOrder.findIndex((words) => words.test(basename(script).toLowerCase()));
  return index === -1 ? usualOrder.length : index;
}

function stepName(script: string, used: Set<string>): string {
  const plain =
    basename(script, extname(script))
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "_")
      .replace(/^[^a-z]+/, "") || "step";
  let name = plain;
  for (let number = 2; used.has(name); number += 1) name = `${plain}_${number}`;
  used.add(name);
  return name;
}
