import { join, resolve } from "node:path";
import { createPythonEnvironments } from "@espalier/host";

const cache = resolve(import.meta.dirname, "../../node_modules/.cache/espalier-mlflow");

/**
 * Folder with `python` and the programs of a requirements file in `environments/`. Made once and again when its lock, which lies beside its
 * requirements, changes. The reason when it can not be had.
 */
export async function pythonPrograms(
  requirements: string,
  what: string,
): Promise<{ bin: string } | { skipped: string }> {
  // Where Python is told to write no bytecode, each start would compile all of the packages again, which takes half a minute.
  process.env.UV_COMPILE_BYTECODE ??= "1";
  const environments = createPythonEnvironments(cache);
  try {
    const lock = await environments.lock(join(import.meta.dirname, "environments"), requirements);
    return { bin: await environments.bin(lock.text) };
  } catch (error) {
    return { skipped: `${what} can not be installed here: ${error instanceof Error ? error.message : error}` };
  }
}
