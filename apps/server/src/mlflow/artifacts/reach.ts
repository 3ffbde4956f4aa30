import type { ControlPlane } from "../../control-plane.ts";
import { mlflowError } from "../mlflow-error.ts";
import { type ExperimentScope, requireExperiment } from "../scope.ts";
import { modelsFolder } from "./model-files.ts";

/** PERMISSION_DENIED: a step reads below the folder of its experiment, and the files of models. */
export async function requireReadable(
  { record }: Pick<ControlPlane, "record">,
  scope: ExperimentScope,
  path: string,
): Promise<void> {
  if (scope.kind === "project" || path.startsWith(`${modelsFolder}/`)) return;
  const place = await record.files.placeOf(path);
  if (place !== undefined) return requireExperiment(scope, place.experimentId);
  const experiment = await record.tracking.experiments.get(scope.experimentId);
  const location = experiment?.artifactLocation.replace(/^mlflow-artifacts:\//, "");
  if (location !== undefined && (path === location || path.startsWith(`${location}/`))) return;
  throw mlflowError("PERMISSION_DENIED", `The token of this step covers the files of experiment ${scope.experimentId}`);
}

/** Errors of `FileQueries.check`; PERMISSION_DENIED outside the scope, whether there is anything or not. */
export async function requireWritable(
  plane: Pick<ControlPlane, "record">,
  scope: ExperimentScope,
  path: string,
): Promise<void> {
  await requireReadable(plane, scope, path);
  requireOwn(path);
  const place = await plane.record.files.check(path);
  requireExperiment(scope, place.experimentId);
}

/** A file, or a folder at or below the files of one run, model or trace; of deleted ones too. */
export async function requireRemovable(
  plane: Pick<ControlPlane, "record">,
  scope: ExperimentScope,
  path: string,
): Promise<void> {
  await requireReadable(plane, scope, path);
  requireOwn(path);
  const place = await plane.record.files.placeOf(path);
  if (place !== undefined) return requireExperiment(scope, place.experimentId);
  if ((await plane.record.files.get(path)) !== undefined) return;
  throw mlflowError("INVALID_PARAMETER_VALUE", "Only files of a run, a logged model or a trace can be deleted");
}

function requireOwn(path: string): void {
  if (path.split("/")[0] !== modelsFolder) return;
  throw mlflowError("PERMISSION_DENIED", "The files of a registered model are immutable");
}
