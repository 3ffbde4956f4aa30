import { statSync } from "node:fs";
import { join } from "node:path";
import {
  type BuiltinDeclaration,
  checkPipeline,
  type Fault,
  isTypescriptStepValue,
  jsonPointer,
  type PipelineIr,
} from "@espalier/core";
import { checkStack } from "./open-stack.ts";
import type { Project } from "./project.ts";
import { importProjectModule } from "./project-modules.ts";
import { placed } from "./yaml-document.ts";
import type { ParsedPipeline } from "./yaml-pipeline.ts";

/** Every fault of a pipeline file in its project and a stack: of syntax, shape and meaning, and of the tools it needs; each with its place. */
export async function checkPipelineFile(
  project: Project,
  parsed: ParsedPipeline,
  options: { builtins: readonly BuiltinDeclaration[]; stack: string },
): Promise<Fault[]> {
  if (parsed.pipeline === undefined) return parsed.faults;
  const faults = await checkProjectPipeline(project, parsed.pipeline, options);
  const meant = faults.filter((fault) => !parsed.faults.some((shape) => covers(fault.pointer, shape.pointer)));
  return placed([...parsed.faults, ...meant], (path) => parsed.locate(jsonPointer(path)));
}

/** The same for an IR without its file, such as that of a stored run; faults carry pointers only, those of the stack their place. */
export async function checkProjectPipeline(
  project: Project,
  pipeline: PipelineIr,
  options: { builtins: readonly BuiltinDeclaration[]; stack: string },
): Promise<Fault[]> {
  const computes = Object.keys(project.stacks[options.stack]?.compute ?? {});
  const exports = await exportsOf(project.directory, pipeline);
  const { secrets } = project.config;
  const named = computes.filter((name) => name !== "default");
  const faults = checkPipeline(pipeline, {
    builtins: options.builtins,
    pathKind: (path) => pathKind(project.directory, path),
    moduleExports: (module) => exports.get(module),
    ...(named.length === 0 ? {} : { computes }),
    ...(secrets === undefined ? {} : { secrets }),
  });
  return [...faults, ...(await checkStack(project, options.stack))];
}

/** A fault of shape at a member explains what its absence does to the things around it. */
function covers(pointer: string, shapePointer: string): boolean {
  return shapePointer === pointer || shapePointer.startsWith(`${pointer}/`);
}

function pathKind(projectDirectory: string, path: string): "file" | "folder" | undefined {
  const found = statSync(join(projectDirectory, path), { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  return found.isDirectory() ? "folder" : "file";
}

/** Names of the steps that the TypeScript modules export; a module that can not be loaded is left out, and fails when it runs. */
async function exportsOf(projectDirectory: string, pipeline: PipelineIr): Promise<Map<string, string[]>> {
  const modules = new Set(
    Object.values(pipeline.steps).flatMap(({ uses }) => (uses?.includes("#") ? [uses.split("#", 1)[0] ?? ""] : [])),
  );
  const loaded = await Promise.all(
    [...modules].map(async (module): Promise<[string, string[]] | undefined> => {
      if (pathKind(projectDirectory, module) !== "file") return undefined;
      try {
        const exported = await importProjectModule(projectDirectory, join(projectDirectory, module));
        const isStep = (value: unknown): boolean => typeof value === "function" || isTypescriptStepValue(value);
        return [module, Object.keys(exported).filter((name) => isStep(exported[name]))];
      } catch {
        return undefined;
      }
    }),
  );
  return new Map(loaded.filter((entry) => entry !== undefined));
}
