import { EspalierError } from "@espalier/core";
import type { ProjectRecord } from "../db/record.ts";
import type { Principal } from "../http/principal.ts";
import { mlflowError } from "./mlflow-error.ts";

/** What a caller may touch: the whole project, or (a step's token) the experiment of its pipeline. */
export type ExperimentScope =
  | { kind: "project" }
  | { kind: "experiment"; experimentId: string; runId: string; attemptId: string };

export async function scopeOf(record: Pick<ProjectRecord, "tracking">, principal: Principal): Promise<ExperimentScope> {
  const { grant } = principal;
  if (grant.kind !== "attempt") return { kind: "project" };
  const experimentId = await record.tracking.experimentOfRun(grant.attemptId);
  if (experimentId === undefined) throw new EspalierError("PERMISSION_DENIED", "The token's attempt is not on record");
  return { kind: "experiment", experimentId, runId: grant.runId, attemptId: grant.attemptId };
}

/** PERMISSION_DENIED when the scope does not cover the experiment. */
export function requireExperiment(scope: ExperimentScope, experimentId: string): void {
  if (scope.kind === "project" || scope.experimentId === experimentId) return;
  throw mlflowError(
    "PERMISSION_DENIED",
    `The token of this step covers experiment ${scope.experimentId}, not ${experimentId}`,
  );
}

/** Where something new goes: a client that was told of no experiment says "0", and a step's things belong to its pipeline's. */
export function experimentForNew(scope: ExperimentScope, experimentId: string): string {
  if (scope.kind === "experiment" && experimentId === "0") return scope.experimentId;
  requireExperiment(scope, experimentId);
  return experimentId;
}

/** For what belongs to no experiment and is not a step's to change. */
export function requireProject(scope: ExperimentScope, what: string): void {
  if (scope.kind === "project") return;
  throw mlflowError("PERMISSION_DENIED", `The token of a step may not ${what}`);
}
