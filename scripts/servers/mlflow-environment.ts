import { join, resolve } from "node:path";
import { createPythonEnvironments } from "@espalier/host";

/** The newest MLflow whose packages can all be installed from the registry, and the newest MLflow 2. */
export const mlflowVersions = ["3.17.2", "2.22.5"] as const;
export type MlflowVersion = (typeof mlflowVersions)[number];

const cache = resolve(import.meta.dirname, "../../node_modules/.cache/espalier-mlflow");

/**
 * Folder with `python` and `mlflow` of that version, and the packages that the suites need. Made once and again when its lock, which
 * lies beside its requirements, changes. The reason when it can not be had.
 */
export async function mlflowPrograms(version: MlflowVersion): Promise<{ bin: string } | { skipped: string }> {
  // Where Python is told to write no bytecode, each start would compile all of MLflow again, which takes half a minute.
  process.env.UV_COMPILE_BYTECODE ??= "1";
  const environments = createPythonEnvironments(cache);
  try {
    const lock = await environments.lock(join(import.meta.dirname, "environments"), `mlflow-${version}.txt`);
    return { bin: await environments.bin(lock.text) };
  } catch (error) {
    return {
      skipped: `MLflow ${version} can not be installed here: ${error instanceof Error ? error.message : error}`,
    };
  }
}

/** This process's variables without those that would lead an MLflow client or server elsewhere. */
export function withoutMlflowVariables(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^_?MLFLOW_/.test(name)));
}
