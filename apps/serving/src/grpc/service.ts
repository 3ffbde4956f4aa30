import { EspalierError } from "@espalier/core";
import { badRequest } from "../http/request-error.ts";
import {
  modelConfiguration,
  modelMetadata,
  modelStatistics,
  refuseModelControl,
  repositoryIndex,
  serverExtensions,
  serverName,
  serverVersion,
} from "../protocol/v2/metadata.ts";
import { canAnswer } from "../repository/served-model.ts";
import type { Serving } from "../serving.ts";
import type { GrpcMethod } from "./calls.ts";
import { inferMethod, streamInferMethod } from "./infer.ts";
import {
  empty,
  healthRequest,
  healthResponse,
  liveResponse,
  modelConfigResponse,
  modelMetadataResponse,
  modelRequest,
  modelStatisticsResponse,
  readyResponse,
  repositoryIndexRequest,
  repositoryIndexResponse,
  repositoryModelRequest,
  serverMetadataResponse,
} from "./messages.ts";
import type { Schema } from "./schema.ts";

/** HTTP's extensions but those that are of HTTP alone. */
const extensions = serverExtensions.filter((name) => name !== "binary_tensor_data");

const serviceName = "inference.GRPCInferenceService";
const healthStatus = { serving: 1, notServing: 2 } as const;

/** `model_config.proto`'s numbers of data types. */
const configTypes = [
  ...[
    "TYPE_INVALID",
    "TYPE_BOOL",
    "TYPE_UINT8",
    "TYPE_UINT16",
    "TYPE_UINT32",
    "TYPE_UINT64",
    "TYPE_INT8",
    "TYPE_INT16",
  ],
  ...["TYPE_INT32", "TYPE_INT64", "TYPE_FP16", "TYPE_FP32", "TYPE_FP64", "TYPE_STRING", "TYPE_BF16"],
];

/**
 * `inference.GRPCInferenceService`: the Open Inference Protocol, and of Triton's extensions streaming, configuration, statistics and the
 * model repository; and the usual health check, which Kubernetes' probes ask. What Triton has besides (shared memory, trace, log settings) is UNIMPLEMENTED, as any unknown method is.
 */
export function inferenceService(serving: Serving): ReadonlyMap<string, GrpcMethod> {
  const { repository } = serving;
  const find = (name: string, version: string) => repository.find(name, version === "" ? undefined : version);
  const method = <Request, Response>(
    asks: Schema<Request>,
    answers: Schema<Response>,
    answer: (request: Request) => Partial<Response> | Promise<Partial<Response>>,
  ): GrpcMethod => ({
    answer: async (message) => ({ message: answers.encode(await answer(asks.decode(message))) }),
  });

  const methods: Readonly<Record<string, GrpcMethod>> = {
    ServerLive: method(empty, liveResponse, () => ({ live: true })),
    ServerReady: method(empty, readyResponse, () => ({ ready: serving.isReady() && !serving.isDraining() })),
    ModelReady: method(modelRequest, readyResponse, ({ name, version }) => {
      const ready = repository
        .status(name, version === "" ? undefined : version)
        .some((one) => one.state === "READY" && canAnswer(repository.find(one.name, one.version)));
      return { ready: ready && !serving.isDraining() };
    }),
    ServerMetadata: method(empty, serverMetadataResponse, () => ({
      name: serverName,
      version: serverVersion,
      extensions,
    })),
    ModelMetadata: method(modelRequest, modelMetadataResponse, ({ name, version }) => {
      const served = find(name, version);
      const ready = repository.status(name).filter(({ state }) => state === "READY");
      const versions = version === "" ? ready.map((one) => one.version) : [version];
      return modelMetadata(served.name, versions, served.model);
    }),
    ModelInfer: inferMethod(serving),
    ModelStreamInfer: streamInferMethod(serving),
    ModelConfig: method(modelRequest, modelConfigResponse, ({ name, version }) => {
      const served = find(name, version);
      const config = modelConfiguration(served.name, served.model, serving.maxBatchRows);
      const typed = (tensor: (typeof config.input)[number]) => ({
        ...tensor,
        data_type: configTypes.indexOf(tensor.data_type),
        dims: [...tensor.dims],
      });
      return { config: { ...config, input: config.input.map(typed), output: config.output.map(typed) } };
    }),
    ModelStatistics: method(modelRequest, modelStatisticsResponse, ({ name, version }) => {
      const statuses = name === "" ? repository.index() : repository.status(name, version === "" ? undefined : version);
      return { model_stats: statuses.map(modelStatistics) };
    }),
    RepositoryIndex: method(repositoryIndexRequest, repositoryIndexResponse, ({ repository_name, ready }) => {
      refuseRepositoryName(repository_name);
      return { models: repositoryIndex(repository.index(), ready) };
    }),
    RepositoryModelLoad: method(repositoryModelRequest, empty, async ({ repository_name, model_name, parameters }) => {
      refuseRepositoryName(repository_name);
      refuseParameters(parameters, []);
      await (serving.control ?? refuseModelControl()).load(model_name);
      return {};
    }),
    RepositoryModelUnload: method(
      repositoryModelRequest,
      empty,
      async ({ repository_name, model_name, parameters }) => {
        refuseRepositoryName(repository_name);
        // No model here is made of others, so there is nothing that depends on one.
        refuseParameters(parameters, ["unload_dependents"]);
        await (serving.control ?? refuseModelControl()).unload(model_name);
        return {};
      },
    ),
  };
  const check = method(healthRequest, healthResponse, ({ service }) => {
    if (service !== "" && service !== serviceName) {
      throw new EspalierError("NOT_FOUND", `There is no service "${service.slice(0, 80)}" here, only ${serviceName}`);
    }
    return { status: serving.isReady() && !serving.isDraining() ? healthStatus.serving : healthStatus.notServing };
  });
  return new Map([
    ...Object.entries(methods).map(([name, one]): [string, GrpcMethod] => [`/${serviceName}/${name}`, one]),
    ["/grpc.health.v1.Health/Check", check],
  ]);
}

function refuseRepositoryName(name: string): void {
  if (name === "") return;
  throw new EspalierError(
    "NOT_FOUND",
    `There is no repository "${name.slice(0, 80)}" here; the one there is has no name`,
  );
}

function refuseParameters(parameters: ReadonlyMap<string, unknown>, known: readonly string[]): void {
  const unknown = [...parameters.keys()].find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw badRequest(
    `The parameter "${unknown.slice(0, 80)}" is not supported: a model is loaded from its folder, as it is there`,
  );
}
