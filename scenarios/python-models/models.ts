import { execFile } from "node:child_process";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { mlflowPrograms, withoutMlflowVariables } from "../../scripts/servers/mlflow-environment.ts";
import { pythonPrograms } from "../../scripts/servers/python-programs.ts";

const run = promisify(execFile);

export interface LoggedModels {
  /** The environment's Python. */
  python: string;
  /** Folder of one model by its name in log-models.py. */
  folder(name: string): string;
  remove(): Promise<void>;
}

/** Models logged by real MLflow into a folder that other users may read; the reason when MLflow can not be had. */
export async function logModels(script = "log-models.py"): Promise<LoggedModels | { skipped: string }> {
  const programs = script === "log-models.py" ? await mlflowPrograms("3.17.2") : await libraries();
  if ("skipped" in programs) return programs;
  const python = join(programs.bin, "python");
  await chmod(dirname(programs.bin), 0o755);
  const root = await mkdtemp(join(tmpdir(), "espalier-python-models-"));
  await chmod(root, 0o755);
  await run(python, [join(import.meta.dirname, script), root], {
    env: { ...withoutMlflowVariables(), MLFLOW_DISABLE_TELEMETRY: "true" },
    cwd: root,
    maxBuffer: 64 * 1024 * 1024,
  });
  return { python, folder: (name) => join(root, name), remove: () => rm(root, { recursive: true, force: true }) };
}

/** With XGBoost, LightGBM, SHAP and the exporters to ONNX. */
const libraries = (): ReturnType<typeof pythonPrograms> => pythonPrograms("python-models.txt", "SHAP and XGBoost");
