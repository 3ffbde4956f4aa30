import { pythonPrograms } from "./python-programs.ts";

/** The newest MLflow whose packages can all be installed from the registry, and the newest MLflow 2. */
export const mlflowVersions = ["3.17.2", "2.22.5"] as const;
export type MlflowVersion = (typeof mlflowVersions)[number];

/** Folder with `python` and `mlflow` of that version, and the packages that the suites need; the reason when it can not be had. */
export const mlflowPrograms = (version: MlflowVersion): ReturnType<typeof pythonPrograms> =>
  pythonPrograms(`mlflow-${version}.txt`, `MLflow ${version}`);

/** This process's variables without those that would lead an MLflow client or server elsewhere. */
export function withoutMlflowVariables(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^_?MLFLOW_/.test(name)));
}
