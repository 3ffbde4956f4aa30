import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import { inList, listParameter, prepared } from "../../prepared.ts";
import { experimentLocation } from "../tracking/experiments.ts";

export type ExperimentChangeRefused =
  | { kind: "no-experiment" }
  | { kind: "deleted-experiment" }
  /** A trace of that id is another experiment's, which the caller may not touch. */
  | { kind: "foreign"; experimentId: string };

export type ActiveExperiment = { kind: "active"; artifactLocation: string } | ExperimentChangeRefused;

/** The experiment that traces are written to, and that none of them is somebody else's. */
export async function activeExperiment(
  database: RecordDatabase,
  transaction: RecordTransaction,
  experimentId: string,
  traceIds: readonly string[],
  within: string | undefined,
): Promise<ActiveExperiment> {
  const experiment = await transaction
    .selectFrom("experiments")
    .select(["experiment_id", "artifact_location", "lifecycle_stage"])
    .where("project_id", "=", database.projectId)
    .where("experiment_id", "=", experimentId)
    .executeTakeFirst();
  if (experiment === undefined) return { kind: "no-experiment" };
  if (experiment.lifecycle_stage !== "active") return { kind: "deleted-experiment" };
  if (within !== undefined) {
    const foreign = prepared<{ experiment_id: string }>(
      database,
      `SELECT experiment_id FROM traces WHERE project_id = ? AND ${inList(database, "trace_id")} AND experiment_id <> ? LIMIT 1`,
    );
    const found = await foreign.first(transaction, [database.projectId, listParameter(database, traceIds), within]);
    if (found !== undefined) return { kind: "foreign", experimentId: found.experiment_id };
  }
  return { kind: "active", artifactLocation: experimentLocation(experiment) };
}
