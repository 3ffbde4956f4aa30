import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { didYouMean, EspalierError, faultsError, type PipelineIr } from "@espalier/core";
import { loadTypescriptPipeline } from "./typescript-pipeline.ts";
import { type ParsedPipeline, parseYamlPipeline } from "./yaml-pipeline.ts";

const folder = "pipelines";
const readable = /\.(ya?ml|ts)$/;

/** Every pipeline file of a project, by name of the file. One that can not be read carries its faults. */
export async function loadPipelines(projectDirectory: string): Promise<ParsedPipeline[]> {
  const entries = await readdir(join(projectDirectory, folder), { withFileTypes: true }).catch(() => []);
  const names = entries
    .filter(
      (entry) =>
        entry.isFile() &&
        readable.test(entry.name) &&
        !entry.name.endsWith(".test.ts") &&
        !entry.name.endsWith(".d.ts"),
    )
    .map((entry) => entry.name)
    .sort();
  return Promise.all(names.map((name) => loadPipelineFile(projectDirectory, `${folder}/${name}`)));
}

/** `file` is relative to the project: `pipelines/train.yaml`. NOT_FOUND. */
export async function loadPipelineFile(projectDirectory: string, file: string): Promise<ParsedPipeline> {
  const path = join(projectDirectory, file);
  await stat(path).catch((cause: unknown) => {
    throw new EspalierError("NOT_FOUND", `There is no pipeline file ${file}`, { at: file, cause });
  });
  if (file.endsWith(".ts")) return loadTypescriptPipeline(projectDirectory, path, file);
  return parseYamlPipeline(await readFile(path, "utf8"), file);
}

/**
 * The pipeline that a person means: by the name of its file (`train`), by its own name, or by the path of the file.
 * NOT_FOUND; INVALID_PIPELINE, with every fault of syntax and shape, when it can not be read.
 */
export async function findPipeline(projectDirectory: string, wanted: string): Promise<ParsedPipeline> {
  const all = await loadPipelines(projectDirectory);
  const stem = (parsed: ParsedPipeline): string => parsed.file.slice(folder.length + 1).replace(readable, "");
  const found =
    all.find((parsed) => stem(parsed) === wanted || parsed.file === wanted.replace(/^\.\//, "")) ??
    all.find((parsed) => parsed.pipeline?.name === wanted);
  if (found !== undefined) return found;
  throw new EspalierError("NOT_FOUND", `There is no pipeline \`${wanted}\``, {
    at: folder,
    hint: didYouMean(wanted, all.map(stem), "pipelines"),
  });
}

/** The pipeline without any fault, or all of its faults as one error. */
export function wholePipeline(parsed: ParsedPipeline): PipelineIr {
  if (parsed.faults.length > 0 || parsed.pipeline === undefined) throw faultsError(parsed.faults, parsed.file);
  return parsed.pipeline;
}
