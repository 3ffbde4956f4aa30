import { appendFileSync, readdirSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  type ArtifactType,
  builtinImplementation,
  type DataBuiltin,
  type DataStepContext,
  EspalierError,
  type JsonObject,
  type StepEvent,
  stepVariables,
  toEspalierError,
} from "@espalier/core";
import { dataBuiltins } from "./registry.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Returns the exit code; an error is told on stderr as `error: CODE message`, its place and what to do next. */
export async function runDataBuiltin(
  name: string | undefined,
  environment: Environment,
  signal: AbortSignal,
): Promise<number> {
  try {
    const builtin = dataBuiltins.find((candidate) => candidate.name === name);
    if (builtin === undefined) {
      throw new EspalierError("INVALID_INPUT", `There is no data built-in named ${JSON.stringify(name ?? "")}`, {
        hint: `Known: ${dataBuiltins.map((known) => known.name).join(", ")}.`,
      });
    }
    requireSame(builtin, environment);
    await builtin.run(await readContext(builtin, environment, signal));
    return 0;
  } catch (thrown) {
    const error = toEspalierError(thrown);
    process.stderr.write(`${describeError(error)}\n`);
    if (error.code === "INTERNAL" && thrown instanceof Error) process.stderr.write(`${thrown.stack ?? ""}\n`);
    return error.exitCode;
  }
}

/** A step elsewhere runs what is installed there; another implementation would give other bytes under the same cache key. */
function requireSame(builtin: DataBuiltin, environment: Environment): void {
  const wanted = environment[stepVariables.builtinImplementation];
  const own = builtinImplementation(builtin);
  if (wanted === undefined || wanted === own) return;
  throw new EspalierError(
    "UNSUPPORTED",
    `The control plane asks for \`${builtin.name}\` ${wanted}; Espalier here has ${own}`,
    {
      at: `steps.${environment[stepVariables.step] ?? builtin.name}`,
      hint: "Install the control plane's version of Espalier.",
    },
  );
}

function describeError(error: EspalierError): string {
  const lines = [`error: ${error.code} ${error.message}`];
  if (error.at !== undefined) lines.push(`   at: ${error.at}`);
  if (error.hint !== undefined) lines.push(` hint: ${error.hint}`);
  return lines.join("\n");
}

async function readContext(
  builtin: DataBuiltin,
  environment: Environment,
  signal: AbortSignal,
): Promise<DataStepContext> {
  const inputsFolder = required(environment, stepVariables.inputs);
  const outputsFolder = required(environment, stepVariables.outputs);
  await mkdir(outputsFolder, { recursive: true });
  const inputs = Object.fromEntries(readdirSync(inputsFolder).map((entry) => [entry, join(inputsFolder, entry)]));
  for (const [input, { required: isRequired }] of Object.entries(builtin.inputs)) {
    if (isRequired && inputs[input] === undefined) {
      throw new EspalierError("INVALID_INPUT", `The step \`${builtin.name}\` needs the input \`${input}\``, {
        at: `inputs.${input}`,
        hint: `It has: ${Object.keys(inputs).join(", ") || "none"}.`,
      });
    }
  }
  const outputNames = readOutputNames(environment) ?? Object.keys(builtin.outputs);
  const eventsPath = environment[stepVariables.events];
  const checkpoint = environment[stepVariables.checkpoint];
  return {
    inputs,
    outputs: Object.fromEntries(outputNames.map((output) => [output, join(outputsFolder, output)])),
    outputTypes: readObject(environment, stepVariables.outputTypes) as Record<string, ArtifactType>,
    params: readObject(environment, stepVariables.params),
    with: readWith(builtin, readObject(environment, stepVariables.with)),
    ...(checkpoint === undefined || checkpoint === "" ? {} : { checkpoint }),
    emit: (event: StepEvent) => {
      if (eventsPath === undefined) return;
      appendFileSync(eventsPath, `${JSON.stringify({ timestamp: Date.now(), ...event })}\n`);
    },
    signal,
  };
}

function readWith(builtin: DataBuiltin, raw: JsonObject): JsonObject {
  const parsed = builtin.with.safeParse(raw);
  if (parsed.success) return parsed.data as JsonObject;
  const issue = parsed.error.issues[0];
  throw new EspalierError("INVALID_PIPELINE", `\`with\` of \`${builtin.name}\`: ${issue?.message ?? "is not valid"}`, {
    at: ["with", ...(issue?.path ?? [])].join("."),
  });
}

function readOutputNames(environment: Environment): string[] | undefined {
  const text = environment[stepVariables.outputNames];
  return text === undefined || text === "" ? undefined : (JSON.parse(text) as string[]);
}

function readObject(environment: Environment, name: string): JsonObject {
  const text = environment[name];
  if (text === undefined || text === "") return {};
  try {
    return JSON.parse(text) as JsonObject;
  } catch (cause) {
    throw new EspalierError("INVALID_INPUT", `The variable ${name} does not hold JSON`, { cause, at: name });
  }
}

function required(environment: Environment, name: string): string {
  const value = environment[name];
  if (value === undefined || value === "") {
    throw new EspalierError("INVALID_INPUT", `The variable ${name} is not set`, {
      at: name,
      hint: "A built-in step is started by a runner, which sets the variables of the step contract.",
    });
  }
  return value;
}
