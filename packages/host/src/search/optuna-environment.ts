import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EspalierError, isEspalierError } from "@espalier/core";
import type { PythonEnvironments } from "../environments/python-environments.ts";

/** One version, for what it proposes from the same results may differ in another. */
const optuna = "optuna==5.0.0";

/** The variable that names a Python of the user's own that has Optuna. */
const optunaPythonVariable = "ESPALIER_OPTUNA_PYTHON";

export const optunaInstallLine = (python: string): string => `${python} -m pip install ${optuna}`;

/**
 * A `python` that has Optuna: the user's own (`ESPALIER_OPTUNA_PYTHON`), else an environment that is made once a machine, its lock kept
 * below `folder`. NOT_INSTALLED when it can not be made, with what to install.
 */
export async function optunaPython(
  environments: PythonEnvironments,
  folder: string,
  variables: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  const own = variables[optunaPythonVariable];
  if (own !== undefined && own !== "") return own;
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "requirements.txt"), `${optuna}\n`);
    const lock = await environments.lock(folder, "requirements.txt");
    return join(await environments.bin(lock.text), "python");
  } catch (error) {
    if (!isEspalierError(error)) throw error;
    throw new EspalierError("NOT_INSTALLED", `A tpe search needs Optuna, and it can not be had. ${error.message}`, {
      cause: error,
      details: error.details,
      hint: `Install it where you can (\`${optunaInstallLine("python3")}\`) and name that Python in ${optunaPythonVariable}, or take \`method: random\`.`,
    });
  }
}
