import type { TrackedExperiment } from "../db/queries/tracking/experiments.ts";

/** An experiment as MLflow's JSON has it. */
export function experimentDocument(experiment: TrackedExperiment): object {
  return {
    experiment_id: experiment.id,
    name: experiment.name,
    artifact_location: experiment.artifactLocation,
    lifecycle_stage: experiment.lifecycleStage,
    last_update_time: experiment.lastUpdateTime,
    creation_time: experiment.creationTime,
    ...(experiment.tags.length === 0 ? {} : { tags: experiment.tags }),
  };
}
