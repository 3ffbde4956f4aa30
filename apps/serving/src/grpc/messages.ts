import { choice, entries, inner, inners, list, type MessageOf, message, one } from "./schema.ts";

/**
 * The messages of `inference.GRPCInferenceService`: fields and numbers of the Open Inference Protocol's gRPC form and of the extensions that
 * NVIDIA's Triton has in the same service (its grpc_service.proto and model_config.proto), as far as this server reads or writes them.
 */
export const parameter = message({
  bool_param: choice(1, "bool"),
  int64_param: choice(2, "int64"),
  string_param: choice(3, "string"),
  double_param: choice(4, "double"),
  uint64_param: choice(5, "uint64"),
});
export type GrpcParameter = MessageOf<typeof parameter>;

const contents = message({
  bool_contents: list(1, "bool"),
  int_contents: list(2, "int32"),
  int64_contents: list(3, "int64"),
  uint_contents: list(4, "uint32"),
  uint64_contents: list(5, "uint64"),
  fp32_contents: list(6, "float"),
  fp64_contents: list(7, "double"),
  bytes_contents: list(8, "bytes"),
});
export type TensorContents = MessageOf<typeof contents>;

const tensor = message({
  name: one(1, "string"),
  datatype: one(2, "string"),
  shape: list(3, "int64"),
  parameters: entries(4, parameter),
  contents: inner(5, contents),
});
export type GrpcTensor = MessageOf<typeof tensor>;

const requestedOutput = message({ name: one(1, "string"), parameters: entries(2, parameter) });

export const inferRequest = message({
  model_name: one(1, "string"),
  model_version: one(2, "string"),
  id: one(3, "string"),
  parameters: entries(4, parameter),
  inputs: inners(5, tensor),
  outputs: inners(6, requestedOutput),
  raw_input_contents: list(7, "bytes"),
});
export type InferRequest = MessageOf<typeof inferRequest>;

export const inferResponse = message({
  model_name: one(1, "string"),
  model_version: one(2, "string"),
  id: one(3, "string"),
  parameters: entries(4, parameter),
  outputs: inners(5, tensor),
  raw_output_contents: list(6, "bytes"),
});
export type InferResponse = MessageOf<typeof inferResponse>;

export const streamInferResponse = message({
  error_message: one(1, "string"),
  infer_response: inner(2, inferResponse),
});

export const empty = message({});
export const liveResponse = message({ live: one(1, "bool") });
export const readyResponse = message({ ready: one(1, "bool") });
/** Of ModelReady, ModelMetadata, ModelConfig and ModelStatistics. */
export const modelRequest = message({ name: one(1, "string"), version: one(2, "string") });

export const serverMetadataResponse = message({
  name: one(1, "string"),
  version: one(2, "string"),
  extensions: list(3, "string"),
});

const tensorMetadata = message({ name: one(1, "string"), datatype: one(2, "string"), shape: list(3, "int64") });
export const modelMetadataResponse = message({
  name: one(1, "string"),
  versions: list(2, "string"),
  platform: one(3, "string"),
  inputs: inners(4, tensorMetadata),
  outputs: inners(5, tensorMetadata),
});

/** Of `grpc.health.v1.Health`, the health check that every gRPC server has (github.com/grpc/grpc, doc/health-checking.md). */
export const healthRequest = message({ service: one(1, "string") });
export const healthResponse = message({ status: one(1, "int32") });

const duration = message({ count: one(1, "uint64"), ns: one(2, "uint64") });
const inferStatistics = message({
  success: inner(1, duration),
  fail: inner(2, duration),
  queue: inner(3, duration),
  compute_input: inner(4, duration),
  compute_infer: inner(5, duration),
  compute_output: inner(6, duration),
  cache_hit: inner(7, duration),
  cache_miss: inner(8, duration),
});
const batchStatistics = message({
  batch_size: one(1, "uint64"),
  compute_input: inner(2, duration),
  compute_infer: inner(3, duration),
  compute_output: inner(4, duration),
});
const modelStatistics = message({
  name: one(1, "string"),
  version: one(2, "string"),
  last_inference: one(3, "uint64"),
  inference_count: one(4, "uint64"),
  execution_count: one(5, "uint64"),
  inference_stats: inner(6, inferStatistics),
  batch_stats: inners(7, batchStatistics),
});
export const modelStatisticsResponse = message({ model_stats: inners(1, modelStatistics) });

const repositoryParameter = message({
  bool_param: choice(1, "bool"),
  int64_param: choice(2, "int64"),
  string_param: choice(3, "string"),
  bytes_param: choice(4, "bytes"),
});
export const repositoryIndexRequest = message({ repository_name: one(1, "string"), ready: one(2, "bool") });
const modelIndex = message({
  name: one(1, "string"),
  version: one(2, "string"),
  state: one(3, "string"),
  reason: one(4, "string"),
});
export const repositoryIndexResponse = message({ models: inners(1, modelIndex) });
/** Of RepositoryModelLoad and RepositoryModelUnload. */
export const repositoryModelRequest = message({
  repository_name: one(1, "string"),
  model_name: one(2, "string"),
  parameters: entries(3, repositoryParameter),
});

const configInput = message({ name: one(1, "string"), data_type: one(2, "int32"), dims: list(4, "int64") });
const configOutput = message({ name: one(1, "string"), data_type: one(2, "int32"), dims: list(3, "int64") });
const dynamicBatching = message({ max_queue_delay_microseconds: one(2, "uint64") });
const modelConfig = message({
  name: one(1, "string"),
  platform: one(2, "string"),
  max_batch_size: one(4, "int32"),
  input: inners(5, configInput),
  output: inners(6, configOutput),
  dynamic_batching: inner(11, dynamicBatching),
  backend: one(17, "string"),
});
export const modelConfigResponse = message({ config: inner(1, modelConfig) });
