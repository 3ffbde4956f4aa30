import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { EspalierError } from "@espalier/core";
import type { StepVariables } from "@espalier/host";
import type { ProjectRecord } from "../db/record.ts";

export interface ControlPlaneUrls {
  /** For processes of this machine. */
  url(): string;
  /** For steps on other machines. */
  publicUrl(): string;
  /** true: steps that a launcher starts do not reach it at all; it brings what they log. */
  files?: boolean;
}

/** What MLflow's clients read from the environment: a script that says `mlflow.start_run()` logs to the run of its own attempt. */
export function mlflowVariables(
  { tracking }: Pick<ProjectRecord, "tracking">,
  urls: ControlPlaneUrls,
  home: string = homedir(),
): StepVariables {
  return async ({ attemptId }, { token, elsewhere, launched }) => {
    if (launched === true && urls.files === true) return {};
    const experimentId = await tracking.experimentOfRun(attemptId);
    if (experimentId === undefined) throw new EspalierError("NOT_FOUND", `Attempt ${attemptId} has no tracking run`);
    return {
      MLFLOW_TRACKING_URI: elsewhere ? urls.publicUrl() : urls.url(),
      MLFLOW_RUN_ID: attemptId,
      MLFLOW_EXPERIMENT_ID: experimentId,
      MLFLOW_TRACKING_TOKEN: token,
      // The client prefers a name and password from this file to any token, unless the environment has them too.
      ...(!elsewhere && existsSync(join(home, ".mlflow", "credentials"))
        ? { MLFLOW_TRACKING_USERNAME: "step", MLFLOW_TRACKING_PASSWORD: token }
        : {}),
    };
  };
}
