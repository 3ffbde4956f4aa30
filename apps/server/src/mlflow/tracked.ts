import type { ControlPlane } from "../control-plane.ts";
import type { TrackedRun, TrackedRunInfo } from "../db/queries/tracking/run-data.ts";
import { mlflowError } from "./mlflow-error.ts";
import { type ExperimentScope, requireExperiment } from "./scope.ts";

/** Look-ups that every area needs, with MLflow's errors and within the caller's scope. */

export function missingRun(id: string): never {
  throw mlflowError("RESOURCE_DOES_NOT_EXIST", `Run with id=${id} not found`);
}

export function deletedRun(id: string): never {
  throw mlflowError(
    "INVALID_PARAMETER_VALUE",
    `The run ${id} must be in the 'active' state. Current state is deleted.`,
  );
}

export function missingExperiment(id: string): never {
  throw mlflowError("RESOURCE_DOES_NOT_EXIST", `No Experiment with id=${id} exists`);
}

export function deletedExperiment(id: string): never {
  throw mlflowError(
    "INVALID_PARAMETER_VALUE",
    `The experiment ${id} must be in the 'active' state. Current state is deleted.`,
  );
}

/** Active or deleted. */
export async function requireRunInfo(
  { record }: Pick<ControlPlane, "record">,
  scope: ExperimentScope,
  id: string,
): Promise<TrackedRunInfo> {
  const run = (await record.tracking.runs.info(id)) ?? missingRun(id);
  requireExperiment(scope, run.experimentId);
  return run;
}

/** As `requireRunInfo`, for changes: a deleted run takes none. */
export async function requireActiveRun(
  plane: Pick<ControlPlane, "record">,
  scope: ExperimentScope,
  id: string,
): Promise<TrackedRunInfo> {
  const run = await requireRunInfo(plane, scope, id);
  if (run.lifecycleStage !== "active") deletedRun(id);
  return run;
}

/** With all that is logged to it. */
export async function requireRun(
  { record }: Pick<ControlPlane, "record">,
  scope: ExperimentScope,
  id: string,
): Promise<TrackedRun> {
  const run = (await record.tracking.runs.get(id)) ?? missingRun(id);
  requireExperiment(scope, run.experimentId);
  return run;
}

/** Ids of experiments are numbers; whatever a client sends becomes the one spelling of it. */
export function experimentIdOf(given: string): string {
  if (!/^\s*[+-]?\d{1,18}\s*$/.test(given)) {
    throw mlflowError(
      "INVALID_PARAMETER_VALUE",
      `Invalid experiment ID '${given}'. Experiment ID must be a valid integer.`,
    );
  }
  return BigInt(given.trim().replace(/^\+/, "")).toString();
}
