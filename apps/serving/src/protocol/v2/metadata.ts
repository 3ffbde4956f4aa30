import { columnDatatype, EspalierError, type InputColumn, type ModelSignature } from "@espalier/core";
import type { LoadedModel } from "../../model/model.ts";
import type { ModelStatus } from "../../repository/repository.ts";
import type { DurationCount } from "../../repository/statistics.ts";

/** What the server says about itself and its models, in V2's and Triton's words; HTTP sends it as JSON, gRPC as messages. */

export const serverName = "espalier";
export const serverVersion = "0.1.0";

/** Only what is there: clients choose their requests by this list. */
export const serverExtensions = [
  "binary_tensor_data",
  "classification",
  "model_configuration",
  "model_repository",
  "model_repository(unload_dependents)",
  "statistics",
];

export interface TensorMetadata {
  name: string;
  datatype: string;
  /** -1: as many as the request's rows. */
  shape: number[];
}

export interface ModelMetadata {
  name: string;
  versions: string[];
  platform: string;
  inputs: TensorMetadata[];
  outputs: TensorMetadata[];
}

/** One input a column, in the signature's order. */
export function modelMetadata(name: string, versions: readonly string[], model: LoadedModel): ModelMetadata {
  const { inputs, outputs } = model.signature;
  const described = ({ name: column, type, shape }: ModelSignature["outputs"][number] | InputColumn) => ({
    name: column,
    datatype: columnDatatype[type],
    shape: [-1, ...(shape ?? [])],
  });
  return {
    name,
    versions: [...versions],
    platform: model.platform,
    inputs: inputs.map(described),
    outputs: outputs.map(described),
  };
}

/** `model_config.proto`'s DataType by V2's name. */
const configType = (datatype: string) => (datatype === "BYTES" ? "TYPE_STRING" : `TYPE_${datatype}`);

/** The model configuration extension: what Triton would have in config.pbtxt. Dimensions are those of one row. */
export function modelConfiguration(name: string, model: LoadedModel, maxBatchRows: number) {
  const { inputs, outputs } = model.signature;
  const described = ({ name: column, type, shape }: ModelSignature["outputs"][number] | InputColumn) => ({
    name: column,
    data_type: configType(columnDatatype[type]),
    dims: shape === undefined || shape.length === 0 ? [1] : shape,
  });
  return {
    name,
    platform: model.platform,
    backend: model.platform.startsWith("onnxruntime") ? "onnxruntime" : model.platform,
    max_batch_size: maxBatchRows,
    input: inputs.map(described),
    output: outputs.map(described),
    dynamic_batching: { max_queue_delay_microseconds: 0 },
  };
}

const duration = ({ count, milliseconds }: DurationCount) => ({ count, ns: Math.round(milliseconds * 1e6) });
const nothing = { count: 0, ns: 0 };

/** The statistics extension: cumulative, in Triton's form. There is no response cache, so its counts stay 0. */
export function modelStatistics({ name, version, statistics }: ModelStatus) {
  return {
    name,
    version,
    last_inference: statistics.lastInference,
    inference_count: statistics.inferenceCount,
    execution_count: statistics.executionCount,
    inference_stats: {
      success: duration(statistics.success),
      fail: duration(statistics.fail),
      queue: duration(statistics.queue),
      compute_input: duration(statistics.computeInput),
      compute_infer: duration(statistics.computeInfer),
      compute_output: duration(statistics.computeOutput),
      cache_hit: nothing,
      cache_miss: nothing,
    },
    response_stats: {},
    batch_stats: [...statistics.batches]
      .sort(([left], [right]) => left - right)
      .map(([rows, batch]) => ({
        batch_size: rows,
        compute_input: { count: batch.count, ns: 0 },
        compute_infer: duration(batch),
        compute_output: { count: batch.count, ns: 0 },
      })),
    memory_usage: [],
  };
}

/** The repository extension's index. */
export function repositoryIndex(statuses: readonly ModelStatus[], onlyReady: boolean) {
  return statuses
    .filter(({ state }) => !onlyReady || state === "READY")
    .map(({ name, version, state, reason }) => ({ name, version, state, reason }));
}

/** Errors: PERMISSION_DENIED, unless the server was started to be told which models to load. */
export function refuseModelControl(): never {
  throw new EspalierError("PERMISSION_DENIED", "Models can not be loaded and unloaded from outside here", {
    hint: "Start the server with --allow-model-control.",
  });
}
