import type { PipelineAuthoring, StepAuthoring } from "./authoring.ts";
import { normalizePipeline } from "./normalize.ts";
import type { OutputIr, PipelineIr, StepIr } from "./pipeline.ts";
import { parseDurationSeconds, parseSizeBytes } from "./units.ts";

/** The IR, in canonical form, of a pipeline as it was written. */
export function compilePipeline(authoring: PipelineAuthoring): PipelineIr {
  const { catch_up: catchUp, ...schedule } = authoring.schedule ?? { cron: "" };
  return normalizePipeline({
    ir: 1,
    name: authoring.name,
    ...given("params", authoring.params),
    ...(authoring.schedule === undefined ? {} : { schedule: { ...schedule, ...given("catchUp", catchUp) } }),
    ...given("notify", authoring.notify),
    steps: Object.fromEntries(Object.entries(authoring.steps).map(([name, step]) => [name, compileStep(step)])),
  });
}

function compileStep(step: StepAuthoring): StepIr {
  const { environment, outputs, resources, retry, timeout, ...same } = step;
  return {
    ...same,
    ...(environment === undefined ? {} : { environment: compileEnvironment(environment) }),
    ...(outputs === undefined ? {} : { outputs: compileOutputs(outputs) }),
    ...(resources === undefined ? {} : { resources: compileResources(resources) }),
    ...(retry === undefined ? {} : { retry: compileRetry(retry) }),
    ...(timeout === undefined ? {} : { timeoutSeconds: parseDurationSeconds(timeout) }),
  };
}

function compileEnvironment(
  environment: NonNullable<StepAuthoring["environment"]>,
): NonNullable<StepIr["environment"]> {
  if (!("python" in environment)) return environment;
  return { python: environment.python, ...given("pythonVersion", environment.python_version) };
}

function compileOutputs(outputs: NonNullable<StepAuthoring["outputs"]>): Record<string, OutputIr> {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, output]) => [name, typeof output === "string" ? { type: output } : output]),
  );
}

function compileResources(resources: NonNullable<StepAuthoring["resources"]>): NonNullable<StepIr["resources"]> {
  const { cpu, memory, gpu, shared_memory: sharedMemory } = resources;
  return {
    ...given("cpu", cpu),
    ...(memory === undefined ? {} : { memoryBytes: parseSizeBytes(memory) }),
    ...(gpu === undefined ? {} : { gpu: typeof gpu === "number" ? { count: gpu } : gpu }),
    ...(sharedMemory === undefined ? {} : { sharedMemoryBytes: parseSizeBytes(sharedMemory) }),
  };
}

function compileRetry(retry: NonNullable<StepAuthoring["retry"]>): NonNullable<StepIr["retry"]> {
  if (typeof retry === "number") return { attempts: retry };
  const { delay, ...same } = retry;
  return { ...same, ...(delay === undefined ? {} : { delaySeconds: parseDurationSeconds(delay) }) };
}

function given<Key extends string, Value>(key: Key, value: Value | undefined): { [Name in Key]?: Value } {
  return value === undefined ? {} : ({ [key]: value } as { [Name in Key]?: Value });
}

/** Members whose names differ between the IR and what people write. */
export const authoringNames: Readonly<Record<string, string>> = {
  catchUp: "catch_up",
  pythonVersion: "python_version",
  memoryBytes: "memory",
  sharedMemoryBytes: "shared_memory",
  delaySeconds: "delay",
  timeoutSeconds: "timeout",
};
