import type { ControlPlane } from "../../control-plane.ts";
import type { ExperimentChangeRefused } from "../../db/queries/traces/experiment.ts";
import type { TraceInfo } from "../../db/queries/traces/trace.ts";
import { mlflowError } from "../mlflow-error.ts";
import { type ExperimentScope, requireExperiment } from "../scope.ts";
import { deletedExperiment, missingExperiment } from "../tracked.ts";

/** Look-ups of traces with MLflow's errors and within the caller's scope. */
export function missingTrace(id: string): never {
  throw mlflowError("RESOURCE_DOES_NOT_EXIST", `Trace with ID '${id}' not found.`);
}

export async function requireTrace(
  { record }: Pick<ControlPlane, "record">,
  scope: ExperimentScope,
  id: string,
): Promise<TraceInfo> {
  const trace = (await record.traces.get(id)) ?? missingTrace(id);
  requireExperiment(scope, trace.experimentId);
  return trace;
}

/** As `requireTrace`, where nothing of the trace is needed. */
export async function requireTraceInScope(
  { record }: Pick<ControlPlane, "record">,
  scope: ExperimentScope,
  id: string,
): Promise<void> {
  requireExperiment(scope, (await record.traces.experimentOf(id)) ?? missingTrace(id));
}

/** The only experiment that the scope lets write to. */
export function withinOf(scope: ExperimentScope): string | undefined {
  return scope.kind === "experiment" ? scope.experimentId : undefined;
}

export function refuseWrite(outcome: ExperimentChangeRefused, experimentId: string, scope: ExperimentScope): never {
  if (outcome.kind === "no-experiment") return missingExperiment(experimentId);
  if (outcome.kind === "deleted-experiment") return deletedExperiment(experimentId);
  requireExperiment(scope, outcome.experimentId);
  throw mlflowError("PERMISSION_DENIED", "The trace belongs to another experiment");
}
