import { createServer, type Server } from "node:http";
import { toEspalierError } from "@espalier/core";
import { type CaptureOptions, createCapture } from "./capture/capture.ts";
import { plainError } from "./http/error-forms.ts";
import { createDispatch, type Route } from "./http/routes.ts";
import { log } from "./log.ts";
import { createModelServerMetrics, type MeasuredModel } from "./metrics.ts";
import { type LoadOptions, loadModel } from "./model/load-model.ts";
import type { RequestLogging } from "./observe-answer.ts";
import { operationRoutes } from "./operations.ts";
import { azureRoutes } from "./platforms/azure.ts";
import { multiModelRoutes, sagemakerRoutes } from "./platforms/sagemaker.ts";
import { type VertexOptions, vertexRoutes } from "./platforms/vertex.ts";
import { mlflowRoutes } from "./protocol/mlflow-routes.ts";
import { v1Routes } from "./protocol/v1-routes.ts";
import { repositoryRoutes } from "./protocol/v2/repository-routes.ts";
import { v2Routes } from "./protocol/v2/routes.ts";
import { findModels, findVersions, resolveModelFolder } from "./repository/model-folders.ts";
import { createRepository, type ModelRepository } from "./repository/repository.ts";
import { canAnswer, type ModelSource, type OpenedModel, type ServedModel } from "./repository/served-model.ts";
import type { ModelStatistics } from "./repository/statistics.ts";
import { closeGently, stopListening, watchConnections } from "./router/close-gently.ts";
import type { ModelControl, Serving } from "./serving.ts";
import type { Tracing } from "./tracing/tracing.ts";

export interface ModelServerOptions {
  /** The folder of the one model. Absent: `repositoryDirectory` has the models, or they come later. */
  modelDirectory?: string;
  /** A folder of model folders: NAME or NAME/VERSION. */
  repositoryDirectory?: string;
  /** Name and version of the one model; in metrics, of the server. */
  name: string;
  version: string;
  /** Further names under which callers may ask for the one model, such as the endpoint's. */
  aliases?: readonly string[];
  bodyLimitBytes?: number;
  maxBatchRows?: number;
  maxQueueRequests?: number;
  /** Further settings of what runs the models. */
  runtime?: Partial<LoadOptions>;
  /** Whether models may be loaded and unloaded over the network. */
  allowModelControl?: boolean;
  vertex?: VertexOptions;
  /** SageMaker's multi-model routes, with so many models at most. */
  sagemakerMultiModel?: { maxModels: number };
  /** `rate`: for requests that do not come through a router, 0 to 1. */
  capture?: CaptureOptions & { rate: number };
  /** Spans of requests, where somebody collects them. */
  tracing?: Tracing | undefined;
  /** Which requests are logged; problems when absent. */
  logging?: RequestLogging | undefined;
}

export interface ModelServer {
  server: Server;
  /** What further transports share with this one. */
  serving: Serving;
  /**
   * Until it resolves, predictions are answered 503. Errors: those of `loadModel` for the one model; in a repository a model that can not be
   * loaded is unavailable, with its reason, and the others are served.
   */
  load(): Promise<void>;
  /** Readiness goes false; requests are still answered. */
  drain(): void;
  /** Finishes what is in flight, closes connections and capture. */
  close(): Promise<void>;
}

const defaultBatchRows = 256;

/** Models over HTTP, in every protocol that is known here. The caller decides where `server` listens. */
export function createModelServer(options: ModelServerOptions): ModelServer {
  let isLoaded = false;
  let isDraining = false;
  const repository = createRepository({
    open: (source, statistics) => open(options, source, statistics),
    isLoading: () => !isLoaded,
    aliases: new Map((options.aliases ?? []).map((alias) => [alias, options.name])),
  });
  const metrics = createModelServerMetrics(() => readyModels(repository).map(measured));
  const control = options.allowModelControl === true ? modelControl(options, repository) : undefined;
  const serving: Serving = {
    repository,
    metrics,
    captureRate: options.capture?.rate ?? 0,
    bodyLimitBytes: options.bodyLimitBytes ?? 16 * 1024 * 1024,
    maxBatchRows: options.maxBatchRows ?? defaultBatchRows,
    isReady: () => isLoaded && readyModels(repository).every(canAnswer),
    isDraining: () => isDraining,
    tracing: options.tracing,
    logging: options.logging,
    ...(control === undefined ? {} : { control }),
  };
  const server = createServer(createDispatch(routesOf(serving, options), plainError));
  watchConnections(server);
  server.requestTimeout = 60_000;
  server.keepAliveTimeout = 75_000;

  async function load(): Promise<void> {
    const { modelDirectory, repositoryDirectory, name, version } = options;
    if (modelDirectory !== undefined) {
      await repository.load({ name, version, folder: await resolveModelFolder(modelDirectory) });
    }
    if (repositoryDirectory !== undefined) await loadAll(repository, repositoryDirectory);
    isLoaded = true;
  }

  return {
    server,
    serving,
    load,
    drain() {
      isDraining = true;
    },
    async close() {
      isDraining = true;
      // Connections whose last request is being answered now become idle later, and keep the server open until they are closed.
      await closeGently(server, stopListening(server), 0);
      await repository.close();
    },
  };
}

/** Vertex AI's come first: they are named by the platform, and must not be taken for others. */
function routesOf(serving: Serving, { vertex, sagemakerMultiModel }: ModelServerOptions): Route[] {
  return [
    ...(vertex === undefined ? [] : vertexRoutes(serving, vertex)),
    ...v2Routes(serving),
    ...repositoryRoutes(serving),
    ...v1Routes(serving),
    ...mlflowRoutes(serving),
    ...azureRoutes(serving),
    ...sagemakerRoutes(serving),
    ...(sagemakerMultiModel === undefined
      ? []
      : multiModelRoutes(serving, { ...sagemakerMultiModel, availableBytes: () => process.availableMemory() })),
    ...operationRoutes(serving),
  ];
}

async function open(
  options: ModelServerOptions,
  source: ModelSource,
  statistics: ModelStatistics,
): Promise<OpenedModel> {
  const model = await loadModel(source.folder, {
    ...options.runtime,
    maxBatchRows: options.maxBatchRows ?? defaultBatchRows,
    maxQueueRequests: options.maxQueueRequests ?? 1024,
    onRun({ rows, runMilliseconds, failed }) {
      if (!failed) statistics.ran(rows, runMilliseconds);
    },
  });
  if (options.capture === undefined) return { model, capture: undefined };
  try {
    return { model, capture: createCapture(options.capture, { ...source, signature: model.signature }) };
  } catch (error) {
    await model.release();
    throw error;
  }
}

async function loadAll(repository: ModelRepository, directory: string): Promise<void> {
  for (const name of await findModels(directory)) {
    try {
      await loadByName(repository, directory, name);
    } catch (error) {
      // Its reason is in the repository's index; the other models are served.
      log("error", `model ${name}: ${toEspalierError(error).message}`);
    }
  }
}

/** All versions that are in the folder, and none that is there no more. Errors: those of the last version that could not be loaded. */
async function loadByName(repository: ModelRepository, directory: string, name: string): Promise<void> {
  const sources = await findVersions(directory, name);
  let failure: unknown;
  for (const source of sources) {
    try {
      await repository.load(source);
    } catch (error) {
      failure = error;
    }
  }
  for (const { version, state } of repository.status(name)) {
    if (state === "READY" && !sources.some((source) => source.version === version))
      await repository.unload(name, version);
  }
  if (failure !== undefined) throw failure;
}

function modelControl(options: ModelServerOptions, repository: ModelRepository): ModelControl {
  const { name: only, version, modelDirectory, repositoryDirectory } = options;
  return {
    async load(name) {
      if (modelDirectory !== undefined && (name === only || options.aliases?.includes(name))) {
        await repository.load({ name: only, version, folder: await resolveModelFolder(modelDirectory) });
      } else if (repositoryDirectory !== undefined) await loadByName(repository, repositoryDirectory, name);
      else {
        for (const { version: known, folder } of repository.status(name)) {
          await repository.load({ name, version: known, folder });
        }
      }
    },
    unload: (name) => repository.unload(name),
  };
}

function readyModels(repository: ModelRepository) {
  return repository
    .index()
    .filter(({ state }) => state === "READY")
    .map(({ name, version }) => repository.find(name, version));
}

function measured({ name, version, model, statistics, capture }: ServedModel): MeasuredModel {
  return {
    name,
    version,
    statistics: statistics.view(),
    queued: model.queueLength(),
    queueAgeMilliseconds: model.queueAgeMilliseconds?.() ?? 0,
    inFlight: model.inFlight?.() ?? 0,
    inlineRows: model.inlineRows,
    capture: capture?.sinks() ?? {},
  };
}
