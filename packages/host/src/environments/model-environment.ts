import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { digestOfBytes, EspalierError, isEspalierError } from "@espalier/core";
import { parse } from "yaml";
import { z } from "zod";
import type { PythonEnvironments } from "./python-environments.ts";
import { runProgram } from "./run-program.ts";

const mlmodelSchema = z.looseObject({
  flavors: z.record(z.string(), z.looseObject({})),
  mlflow_version: z.string().optional(),
});
const pythonEnvSchema = z.looseObject({
  python: z.coerce.string().optional(),
  dependencies: z.array(z.string()).nullish(),
});
const condaSchema = z.looseObject({ dependencies: z.array(z.unknown()).nullish() });

/** What a Python model asks for. */
interface Wanted {
  /** Text of a requirements file. */
  requirements: string;
  /** `3.11` */
  pythonVersion?: string;
}

export interface ModelEnvironment {
  /** The environment's `python`. */
  program: string;
  /** Pins of all packages. */
  lockText: string;
}

/**
 * Makes the Python environment that a model folder names (requirements.txt, python_env.yaml, conda.yaml's pip part), once a machine. The
 * lock is kept below `locks`. undefined: the model needs no Python, since it is ONNX. Errors: ENVIRONMENT_FAILED with the builder's last
 * lines, NOT_INSTALLED (no such Python here), INVALID_DATA (no requirements).
 */
export async function modelEnvironment(
  environments: PythonEnvironments,
  model: { folder: string; label: string; locks: string },
): Promise<ModelEnvironment | undefined> {
  const folder = await pythonFolder(model.folder);
  if (folder === undefined) return undefined;
  const { requirements, pythonVersion } = await wantedBy(folder, model.label);
  const place = join(model.locks, digestOfBytes(requirements).slice(7, 39));
  await mkdir(place, { recursive: true });
  await writeFile(join(place, "requirements.txt"), requirements);
  const constraints = await textOf(join(folder, "constraints.txt"));
  if (constraints !== undefined) await writeFile(join(place, "constraints.txt"), constraints);
  try {
    const lock = await environments.lock(place, "requirements.txt", pythonVersion);
    const bin = await environments.bin(lock.text, pythonVersion);
    await readyForWorkers(dirname(bin), join(bin, "python"));
    return { program: join(bin, "python"), lockText: lock.text };
  } catch (error) {
    if (!isEspalierError(error)) throw error;
    throw new EspalierError(error.code, `The Python environment of ${model.label} can not be made. ${error.message}`, {
      at: model.folder,
      cause: error,
      details: error.details,
      hint:
        error.code === "ENVIRONMENT_FAILED"
          ? "Log the model again with requirements that install here (`pip_requirements=`)."
          : `The model was logged with Python ${pythonVersion ?? "3"}: install that, or log the model again.`,
    });
  }
}

/** The folder with the MLmodel of a model that only Python can run. */
async function pythonFolder(modelFolder: string): Promise<string | undefined> {
  const signature = z
    .looseObject({ format: z.string(), payload: z.string() })
    .safeParse(jsonOf((await textOf(join(modelFolder, "signature.json"))) ?? "null"));
  const inside = signature.success && signature.data.format === "mlflow" ? signature.data.payload : "";
  if (inside.split(/[/\\]/).includes("..")) return undefined;
  const folder = join(modelFolder, inside);
  const parsed = mlmodelSchema.safeParse(yamlOf(await textOf(join(folder, "MLmodel"))));
  if (!parsed.success) return undefined;
  const { flavors } = parsed.data;
  return "python_function" in flavors && !("onnx" in flavors) ? folder : undefined;
}

async function wantedBy(folder: string, label: string): Promise<Wanted> {
  const mlmodel = mlmodelSchema.parse(yamlOf(await textOf(join(folder, "MLmodel"))));
  const pythonEnv = pythonEnvSchema.safeParse(yamlOf(await textOf(join(folder, "python_env.yaml"))));
  const conda = condaSchema.safeParse(yamlOf(await textOf(join(folder, "conda.yaml"))));
  const condaPackages = conda.success ? (conda.data.dependencies ?? []) : [];
  const requirements =
    (await textOf(join(folder, "requirements.txt"))) ??
    (pythonEnv.success ? own(pythonEnv.data.dependencies ?? []) : undefined) ??
    pipPart(condaPackages);
  if (requirements === undefined) {
    throw new EspalierError("INVALID_DATA", `${label} does not say which packages it needs`, {
      at: folder,
      hint: "An MLflow model has a requirements.txt, python_env.yaml or conda.yaml beside its MLmodel; log it again with mlflow.",
    });
  }
  const version = (pythonEnv.success ? pythonEnv.data.python : undefined) ?? condaPython(condaPackages);
  const minor = /^\d+\.\d+/.exec(version ?? "")?.[0];
  // Logged without mlflow it could not be loaded.
  const hasMlflow = /^\s*mlflow(-skinny)?\b(?!-)/im.test(requirements);
  const mlflow = mlmodel.mlflow_version === undefined ? "mlflow-skinny" : `mlflow-skinny==${mlmodel.mlflow_version}`;
  return {
    requirements: hasMlflow ? requirements : `${requirements.trimEnd()}\n${mlflow}\npandas\nnumpy\n`,
    ...(minor === undefined ? {} : { pythonVersion: minor }),
  };
}

/** `-r requirements.txt` says nothing when that file is not there. */
function own(dependencies: readonly string[]): string | undefined {
  const named = dependencies.filter((line) => !/^-r\s/.test(line));
  return named.length === 0 ? undefined : `${named.join("\n")}\n`;
}

function pipPart(dependencies: readonly unknown[]): string | undefined {
  for (const entry of dependencies) {
    const pip = (entry as { pip?: unknown } | null)?.pip;
    if (Array.isArray(pip)) return `${pip.filter((line) => typeof line === "string").join("\n")}\n`;
  }
  return undefined;
}

function condaPython(dependencies: readonly unknown[]): string | undefined {
  for (const entry of dependencies) {
    const version = typeof entry === "string" ? /^python\s*=+\s*([\d.]+)/.exec(entry)?.[1] : undefined;
    if (version !== undefined) return version;
  }
  return undefined;
}

/**
 * Workers run as another user where we are root: they may read the environment, and can not leave compiled modules in it, without which
 * every start of MLflow takes half a minute.
 */
async function readyForWorkers(folder: string, python: string): Promise<void> {
  const marker = join(folder, "compiled");
  if ((await textOf(marker)) !== undefined) return;
  await chmod(folder, 0o755);
  // Some packages bring files of other Pythons, which do not compile and are never imported.
  await runProgram(python, ["-m", "compileall", "-q", "-j", "0", join(folder, "lib")]);
  await writeFile(marker, "");
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}

/** What can not be read is told by whoever serves the model. */
function yamlOf(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : parse(text);
  } catch {
    return undefined;
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
