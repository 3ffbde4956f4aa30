import type { LoggedModel, LoggedModelStatus } from "../db/queries/logged-models/rows.ts";

/** Names on the wire; old clients send the number, which is the place here. */
export const loggedModelStatuses: readonly (readonly [LoggedModelStatus, string])[] = [
  ["UNSPECIFIED", "LOGGED_MODEL_STATUS_UNSPECIFIED"],
  ["PENDING", "LOGGED_MODEL_PENDING"],
  ["READY", "LOGGED_MODEL_READY"],
  ["FAILED", "LOGGED_MODEL_UPLOAD_FAILED"],
];

/** A logged model as MLflow's JSON has it. */
export function loggedModelDocument(model: LoggedModel): object {
  return {
    info: {
      model_id: model.id,
      experiment_id: model.experimentId,
      name: model.name,
      creation_timestamp_ms: model.creationTime,
      last_updated_timestamp_ms: model.lastUpdateTime,
      artifact_uri: model.artifactLocation,
      status: loggedModelStatuses.find(([status]) => status === model.status)?.[1],
      model_type: model.modelType ?? "",
      source_run_id: model.sourceRunId ?? "",
      ...(model.statusMessage === undefined ? {} : { status_message: model.statusMessage }),
      ...(model.tags.length === 0 ? {} : { tags: model.tags }),
    },
    data: {
      ...(model.params.length === 0 ? {} : { params: model.params }),
      ...(model.metrics.length === 0
        ? {}
        : {
            metrics: model.metrics.map((metric) => ({
              key: metric.key,
              value: metric.value,
              timestamp: metric.timestamp,
              step: metric.step,
              ...(metric.datasetName === "" ? {} : { dataset_name: metric.datasetName }),
              ...(metric.datasetDigest === "" ? {} : { dataset_digest: metric.datasetDigest }),
              model_id: model.id,
              run_id: metric.runId,
            })),
          }),
    },
  };
}
