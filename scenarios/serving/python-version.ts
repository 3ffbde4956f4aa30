import { execFile } from "node:child_process";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { digestOfBytes, type ServedVersion } from "@espalier/core";
import { mlflowPrograms, mlflowVersions } from "../../scripts/servers/mlflow-environment.ts";

const run = promisify(execFile);

/** Version 4: the same formula as the others, in Python code of the user's, so that no library joins requests. */
const program = `
import sys
import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature

class Formula(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        frame = pd.DataFrame(model_input)
        return 1 / (1 + np.exp(-(frame.iloc[:, 0] + 0.5 * frame.iloc[:, 1] + 4)))

rows = pd.DataFrame({"a": [0.0, 1.0], "b": [1.0, 0.0]})
signature = infer_signature(rows, Formula().predict(None, rows))
mlflow.pyfunc.save_model(sys.argv[1], python_model=Formula(), signature=signature)
`;

/** A model that only Python can run, with its environment; `{ skipped }` says why there is none. */
export async function pythonVersion(
  root: string,
  model: string,
): Promise<Omit<ServedVersion, "weight"> | { skipped: string }> {
  const programs = await mlflowPrograms(mlflowVersions[0]);
  if ("skipped" in programs) return { skipped: `no Python worker: ${programs.skipped}` };
  const python = join(programs.bin, "python");
  const path = join(root, "models", "4");
  await mkdir(join(root, "models"), { recursive: true });
  await writeFile(join(root, "make-model.py"), program);
  await run(python, [join(root, "make-model.py"), path], { cwd: root });
  // The worker runs as nobody, and a temporary folder is its owner's alone.
  for (const folder of [root, join(root, "models")]) await chmod(folder, 0o755);
  const digest = digestOfBytes(await readFile(join(path, "MLmodel")));
  return { version: "4", model, digest, path, python };
}

/** Processes that a process has started, by /proc (Linux). */
export async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  return text.trim().split(" ").filter(Boolean).map(Number);
}
