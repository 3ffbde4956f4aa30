import type { MetricPoint } from "../db/queries/metrics.ts";
import type { RunDataset, TrackedRun, TrackedRunInfo } from "../db/queries/tracking/run-data.ts";
import { jsonDouble, jsonInteger } from "./int64-json.ts";

/** Runs as MLflow's JSON has them; all of it plain JSON, which JSON.stringify writes at once. Empty lists are left out, as in MLflow's. */
export function runDocument(run: TrackedRun): object {
  return {
    info: runInfoDocument(run),
    data: {
      ...(run.metrics.length === 0 ? {} : { metrics: run.metrics.map(metricDocument) }),
      ...(run.params.length === 0 ? {} : { params: run.params }),
      ...(run.tags.length === 0 ? {} : { tags: run.tags }),
    },
    inputs: {
      ...(run.datasets.length === 0 ? {} : { dataset_inputs: run.datasets.map(datasetInputDocument) }),
      ...(run.modelInputs.length === 0 ? {} : { model_inputs: run.modelInputs.map((id) => ({ model_id: id })) }),
    },
    outputs:
      run.modelOutputs.length === 0
        ? {}
        : {
            model_outputs: run.modelOutputs.map(({ modelId, step }) => ({
              model_id: modelId,
              step: jsonInteger(step),
            })),
          },
  };
}

export function runInfoDocument(run: TrackedRunInfo): object {
  return {
    run_uuid: run.id,
    experiment_id: run.experimentId,
    run_name: run.name,
    user_id: run.userId,
    status: run.status,
    start_time: jsonInteger(run.startTime),
    ...(run.endTime === undefined ? {} : { end_time: jsonInteger(run.endTime) }),
    artifact_uri: run.artifactUri,
    lifecycle_stage: run.lifecycleStage,
    run_id: run.id,
  };
}

export function metricDocument({ key, value, timestamp, step }: MetricPoint): object {
  return { key, value: jsonDouble(value), timestamp: jsonInteger(timestamp), step: jsonInteger(step) };
}

function datasetInputDocument(dataset: RunDataset): object {
  return {
    ...(dataset.tags.length === 0 ? {} : { tags: dataset.tags }),
    dataset: {
      name: dataset.name,
      digest: dataset.digest,
      source_type: dataset.sourceType,
      source: dataset.source,
      ...(dataset.schema === undefined ? {} : { schema: dataset.schema }),
      ...(dataset.profile === undefined ? {} : { profile: dataset.profile }),
    },
  };
}
