import { appendFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import {
  canonicalJson,
  EspalierError,
  errorTable,
  isTypescriptStepValue,
  type Json,
  outputType,
  type StepEvent,
  stepVariables,
  type TypescriptStep,
  toEspalierError,
} from "@espalier/core";

type Environment = Readonly<Record<string, string | undefined>>;

/** Anything that can be called as a step: what `defineStep` gives, or a plain function, which sees paths for all inputs. */
type Callable = TypescriptStep | ((context: unknown) => unknown);

/** Gives the exit code; an error is told on stderr with its stack, which is what a developer needs. */
export async function runTypescriptStep(
  target: string,
  environment: Environment,
  workingDirectory: string,
  signal: AbortSignal,
): Promise<number> {
  try {
    const step = await loadStep(target, workingDirectory);
    const events = eventWriter(environment[stepVariables.events]);
    const context = await readContext(step, environment, events.emit, signal);
    const call = isTypescriptStepValue(step) ? step.run.bind(step) : step;
    const result: unknown = await call(context as never);
    await writeValues(step, result, required(environment, stepVariables.outputs));
    await events.flush();
    return signal.aborted ? errorTable.CANCELLED.exitCode : 0;
  } catch (thrown) {
    const error = toEspalierError(thrown);
    const stack = thrown instanceof Error && error.code === "INTERNAL" ? thrown.stack : undefined;
    process.stderr.write(
      `${stack ?? `error: ${error.code} ${error.message}${error.hint === undefined ? "" : `\n hint: ${error.hint}`}`}\n`,
    );
    return 1;
  }
}

async function loadStep(target: string, workingDirectory: string): Promise<Callable> {
  const [module = "", name = ""] = target.split("#");
  const path = resolve(workingDirectory, module);
  const exports: Record<string, unknown> = await import(pathToFileURL(path).href);
  const found = exports[name];
  if (isTypescriptStepValue(found) || typeof found === "function") return found as Callable;
  const steps = Object.keys(exports).filter(
    (key) => isTypescriptStepValue(exports[key]) || typeof exports[key] === "function",
  );
  throw new EspalierError("INVALID_PIPELINE", `${module} exports no step named \`${name}\``, {
    at: target,
    hint: `It exports: ${steps.join(", ") || "no function"}.`,
  });
}

async function readContext(
  step: Callable,
  environment: Environment,
  emit: (event: StepEvent) => void,
  signal: AbortSignal,
): Promise<object> {
  const inputsFolder = required(environment, stepVariables.inputs);
  const outputsFolder = required(environment, stepVariables.outputs);
  await mkdir(outputsFolder, { recursive: true });
  const declared = isTypescriptStepValue(step) ? step : undefined;
  const inputs: Record<string, Json> = {};
  for (const name of declared ? Object.keys(declared.inputs) : await readdir(inputsFolder)) {
    const path = join(inputsFolder, name);
    inputs[name] = declared?.inputs[name] === "value" ? (JSON.parse(await readFile(path, "utf8")) as Json) : path;
  }
  const checkpoint = environment[stepVariables.checkpoint];
  return {
    inputs,
    outputs: outputPaths(declared, environment, outputsFolder),
    params: JSON.parse(environment[stepVariables.params] ?? "{}") as Json,
    run: {
      id: environment[stepVariables.runId] ?? "",
      step: environment[stepVariables.step] ?? "",
      attemptId: environment[stepVariables.attemptId] ?? "",
    },
    emit,
    signal,
    ...(checkpoint === undefined ? {} : { checkpoint }),
  };
}

/** Of a plain function the names are known only if the control plane tells them; any name gives the path of that output. */
function outputPaths(
  step: TypescriptStep | undefined,
  environment: Environment,
  folder: string,
): Record<string, string> {
  if (step !== undefined) {
    const names = Object.entries(step.outputs).filter(([, declared]) => outputType(declared) !== "value");
    return Object.fromEntries(names.map(([name]) => [name, join(folder, name)]));
  }
  const names = JSON.parse(environment[stepVariables.outputNames] ?? "[]") as string[];
  const known = Object.fromEntries(names.map((name) => [name, join(folder, name)]));
  return new Proxy(known, {
    get: (paths, name) => (typeof name === "string" ? (paths[name] ?? join(folder, name)) : undefined),
  });
}

async function writeValues(step: Callable, result: unknown, folder: string): Promise<void> {
  const returned = typeof result === "object" && result !== null ? (result as Record<string, unknown>) : {};
  const names = isTypescriptStepValue(step)
    ? Object.entries(step.outputs).flatMap(([name, declared]) => (outputType(declared) === "value" ? [name] : []))
    : Object.keys(returned);
  for (const name of names) {
    if (returned[name] === undefined) {
      throw new EspalierError("STEP_FAILED", `The step returned no \`${name}\``, {
        hint: `Return an object with: ${names.join(", ")}.`,
      });
    }
    await writeFile(join(folder, name), canonicalJson(returned[name]));
  }
}

function eventWriter(path: string | undefined): { emit(event: StepEvent): void; flush(): Promise<void> } {
  let written = Promise.resolve();
  return {
    emit(event) {
      if (path === undefined) return;
      const line = `${JSON.stringify({ timestamp: Date.now(), ...event })}\n`;
      written = written.then(() => appendFile(path, line));
    },
    flush: () => written,
  };
}

function required(environment: Environment, variable: string): string {
  const value = environment[variable];
  if (value === undefined)
    throw new EspalierError("INVALID_INPUT", `${variable} is not set`, {
      hint: "Steps are started by `espalier run`.",
    });
  return value;
}
