import { realpath } from "node:fs/promises";
import { relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import {
  compilePipeline,
  EspalierError,
  type Fault,
  isPipelineDefinition,
  isTypescriptStepValue,
  pipelineAuthoringSchema,
  pointerPath,
  salvage,
  type TypescriptStep,
  toEspalierError,
} from "@espalier/core";
import { importProjectModule } from "./project-modules.ts";
import type { ParsedPipeline } from "./yaml-pipeline.ts";

/** Loads a `pipelines/*.ts` file by import. */
export async function loadTypescriptPipeline(
  projectDirectory: string,
  path: string,
  file: string,
): Promise<ParsedPipeline> {
  const locate = (pointer: string): string => (pointer === "" ? file : `${file} (${pointerPath(pointer).join(".")})`);
  try {
    const definition = await importDefinition(projectDirectory, path, file);
    const names = await nameSteps(await realpath(projectDirectory), stepsOf(definition));
    const authoring = definition.authoring((step) => names.get(step) ?? step.module);
    const { faults, value } = salvage(pipelineAuthoringSchema, authoring, "INVALID_PIPELINE", {
      "/name": "unnamed",
      "/steps": {},
    });
    return {
      file,
      ...(value === undefined ? {} : { pipeline: compilePipeline(value) }),
      faults: faults.map((fault) => ({ ...fault, at: locate(fault.pointer) })),
      locate,
    };
  } catch (thrown) {
    return { file, faults: [faultOf(thrown, file)], locate };
  }
}

async function importDefinition(projectDirectory: string, path: string, file: string) {
  const module = await importProjectModule(projectDirectory, path);
  const definitions = Object.values(module).filter(isPipelineDefinition);
  const [definition] = definitions;
  if (definition !== undefined && definitions.length === 1) return definition;
  const problem = definitions.length === 0 ? "exports no pipeline" : `exports ${definitions.length} pipelines`;
  throw new EspalierError("INVALID_PIPELINE", `${file} ${problem}`, {
    at: file,
    hint: "Write `export const pipeline = definePipeline({ name: ... }, (p) => { ... });`, one a file.",
  });
}

function stepsOf(definition: Awaited<ReturnType<typeof importDefinition>>): Set<TypescriptStep> {
  const steps = new Set<TypescriptStep>();
  definition.authoring((step) => {
    steps.add(step);
    return "unnamed";
  });
  return steps;
}

/** `./steps/train.ts#train`: the module, seen from the project, and the export that holds the step. */
async function nameSteps(projectDirectory: string, steps: Set<TypescriptStep>): Promise<Map<TypescriptStep, string>> {
  const names = new Map<TypescriptStep, string>();
  for (const step of steps) {
    const path = fileURLToPath(new URL(step.module));
    const place = relative(projectDirectory, path).split(sep).join("/");
    if (place.startsWith("../")) {
      throw new EspalierError("INVALID_PIPELINE", `The step of ${step.module} lies outside the project`, { at: place });
    }
    const module: Record<string, unknown> = await import(step.module);
    const found = Object.entries(module).find(([, value]) => isTypescriptStepValue(value) && value === step);
    if (found === undefined) {
      throw new EspalierError("INVALID_PIPELINE", `./${place} does not export a step that the pipeline uses`, {
        at: `./${place}`,
        hint: "Export it, and give `defineStep` the `import.meta.url` of its own module.",
      });
    }
    names.set(step, `./${place}#${found[0]}`);
  }
  return names;
}

function faultOf(thrown: unknown, file: string): Fault {
  const error = toEspalierError(thrown);
  const place = error.at ?? (thrown instanceof Error ? placeInStack(thrown, file) : undefined) ?? file;
  return {
    code: error.code === "INTERNAL" ? "INVALID_PIPELINE" : error.code,
    check: "typescript",
    message: error.code === "INTERNAL" ? `can not be loaded: ${error.message}` : error.message,
    pointer: "",
    at: place,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  };
}

function placeInStack(error: Error, file: string): string | undefined {
  const [, line, column] =
    new RegExp(`${file.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")}[^:\\s]*:(\\d+):(\\d+)`).exec(error.stack ?? "") ?? [];
  return line === undefined ? undefined : `${file}:${line}:${column}`;
}
