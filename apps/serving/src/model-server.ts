import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
} from "node:http";
import {
  type CaptureLine,
  EspalierError,
  type ModelSignature,
  scoreOutput,
  scoresOf,
  servingHeaders,
  toEspalierError,
  ulid,
} from "@espalier/core";
import { type CaptureWriter, createCaptureWriter } from "./capture/capture-writer.ts";
import { parseJson, readBody } from "./http/body.ts";
import { reply } from "./http/reply.ts";
import { checkedId, givenEventTime, givenPredictionId } from "./http/request-identity.ts";
import { createModelServerMetrics, type ModelServerMetrics } from "./metrics.ts";
import { loadModel } from "./model/load-model.ts";
import type { LoadedModel, ModelOutput } from "./model/model.ts";
import type { Table } from "./model/table.ts";
import { tableFromCsv } from "./protocol/csv.ts";
import { parseInvocation, renderPredictions } from "./protocol/mlflow.ts";
import { looksLikeV2, parseV2, renderV2, v2ModelMetadata, v2ServerMetadata } from "./protocol/v2.ts";

export interface ModelServerOptions {
  modelDirectory: string;
  name: string;
  version: string;
  /** Further names under which V2 callers may ask for the model, such as the endpoint's. */
  aliases?: readonly string[];
  bodyLimitBytes?: number;
  maxBatchRows?: number;
  maxQueueRequests?: number;
  capture?: {
    directory: string;
    /** For requests that do not come through a router, 0 to 1. */
    rate: number;
    maxSegmentSeconds?: number;
  };
}

export interface ModelServer {
  server: Server;
  /** Until it resolves, every prediction is answered 503. Errors: those of `loadModel`. */
  load(): Promise<void>;
  /** Readiness goes false; requests are still answered. */
  drain(): void;
  /** Finishes what is in flight, closes connections and capture. */
  close(): Promise<void>;
}

interface Loaded {
  model: LoadedModel;
  capture: CaptureWriter | undefined;
}

type Protocol = "v2" | "mlflow";

const invocationPaths = new Set(["/invocations", "/score", "/predict"]);
const modelPath = /^\/v2\/models\/([^/]+)(?:\/versions\/([^/]+))?(?:\/(infer|ready))?$/;
const v1Path = /^\/v1\/models\/([^/:]+)(:predict)?$/;

/** One version of one model over HTTP. The caller decides where `server` listens. */
export function createModelServer(options: ModelServerOptions): ModelServer {
  const { name, version } = options;
  const bodyLimit = options.bodyLimitBytes ?? 16 * 1024 * 1024;
  const names = new Set([name, ...(options.aliases ?? [])]);
  let loaded: Loaded | undefined;
  let draining = false;
  const metrics: ModelServerMetrics = createModelServerMetrics(options, {
    queue: () => loaded?.model.queueLength() ?? 0,
    capture: () => loaded?.capture?.counts() ?? { captured: 0, dropped: 0 },
  });

  const server = createServer((request, response) => {
    route(request, response).catch((error: unknown) => sendError(response, "v2", error));
  });
  server.requestTimeout = 60_000;
  server.keepAliveTimeout = 75_000;

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
    if (request.method === "POST") {
      const infer = modelPath.exec(path);
      if (infer?.[3] === "infer") {
        checkTarget(infer[1], infer[2]);
        return predict(request, response, "v2");
      }
      if (invocationPaths.has(path)) return predict(request, response, "mlflow");
      const v1 = v1Path.exec(path);
      if (v1?.[2] !== undefined) {
        checkTarget(v1[1], undefined);
        return predict(request, response, "mlflow");
      }
      if (path === "/capture/flush") {
        await loaded?.capture?.flush();
        return reply(response, 200, JSON.stringify(loaded?.capture?.counts() ?? {}));
      }
    } else if (request.method === "GET" || request.method === "HEAD") {
      return inform(response, path);
    }
    throw new EspalierError("NOT_FOUND", `There is nothing at ${request.method} ${path}`);
  }

  function checkTarget(wantedName: string | undefined, wantedVersion: string | undefined): void {
    const decoded = decodeURIComponent(wantedName ?? "");
    if (!names.has(decoded)) {
      throw new EspalierError("NOT_FOUND", `There is no model "${decoded}" here, only ${[...names].join(", ")}`);
    }
    if (wantedVersion !== undefined && decodeURIComponent(wantedVersion) !== version) {
      throw new EspalierError("NOT_FOUND", `Model "${decoded}" has version ${version} here, not ${wantedVersion}`);
    }
  }

  async function inform(response: ServerResponse, path: string): Promise<void> {
    switch (path) {
      case "/v2/health/live":
        return reply(response, 200, '{"live":true}');
      case "/v2/health/ready":
      case "/":
      case "/ping":
      case "/health":
        return readiness(response);
      case "/v2":
        return reply(response, 200, v2ServerMetadata());
      case "/version":
        return reply(response, 200, JSON.stringify({ model: name, version }));
      case "/metrics":
        return reply(response, 200, await metrics.registry.metrics(), metrics.registry.contentType);
    }
    const target = modelPath.exec(path) ?? v1Path.exec(path);
    if (target === null) throw new EspalierError("NOT_FOUND", `There is nothing at GET ${path}`);
    checkTarget(target[1], path.startsWith("/v2") ? target[2] : undefined);
    if (target[3] === "ready" || path.startsWith("/v1")) return readiness(response);
    const { model } = ready();
    return reply(response, 200, v2ModelMetadata({ name, version, signature: model.signature }));
  }

  function readiness(response: ServerResponse): void {
    const isReady = loaded !== undefined && !draining;
    reply(response, isReady ? 200 : 503, JSON.stringify({ ready: isReady, name, version }));
  }

  function ready(): Loaded {
    if (loaded === undefined) throw new EspalierError("UNAVAILABLE", `Model "${name}" version ${version} is loading`);
    return loaded;
  }

  async function predict(request: IncomingMessage, response: ServerResponse, protocol: Protocol): Promise<void> {
    const start = performance.now();
    let rows = 0;
    try {
      const body = await readBody(request, bodyLimit);
      const { model, capture } = ready();
      const eventTime = givenEventTime(request);
      const given = givenPredictionId(request);
      const parsed = parse(request, body, protocol, model);
      const id = given ?? (parsed.id === undefined ? ulid() : checkedId(parsed.id));
      const { table } = parsed;
      const outputs = await model.predict(table);
      rows = table.rows;
      const text = parsed.render(outputs, id);
      const headers: OutgoingHttpHeaders = { [servingHeaders.version]: version, [servingHeaders.predictionId]: id };
      if (draining) headers.connection = "close";
      reply(response, 200, text, "application/json", headers);
      if (capture !== undefined && isSampled(request)) record(capture, model, id, eventTime, table, outputs);
    } catch (error) {
      sendError(response, protocol, error);
    }
    metrics.observeRequest(protocol, response.statusCode, (performance.now() - start) / 1000, rows);
  }

  function parse(
    request: IncomingMessage,
    body: Buffer,
    protocol: Protocol,
    { signature }: LoadedModel,
  ): { id?: string; table: Table; render(outputs: ModelOutput[], id: string): string } {
    const contentType = request.headers["content-type"] ?? "application/json";
    const type = contentType.split(";", 1)[0]?.trim().toLowerCase();
    if (request.headers["inference-header-content-length"] !== undefined) {
      throw new EspalierError("INVALID_INPUT", "Binary tensors are not supported; send the tensors as JSON");
    }
    if (protocol === "mlflow" && type === "text/csv") {
      const table = tableFromCsv(body.toString("utf8"), signature);
      return { table, render: (outputs) => renderPredictions(outputs, table.rows) };
    }
    const json = parseJson(body);
    if (protocol === "v2" || looksLikeV2(json)) {
      const inference = parseV2(json, signature);
      return { ...inference, render: (outputs, id) => renderV2(inference, id, options, outputs) };
    }
    const table = parseInvocation(json, signature);
    return { table, render: (outputs) => renderPredictions(outputs, table.rows) };
  }

  function isSampled(request: IncomingMessage): boolean {
    const decided = request.headers[servingHeaders.capture];
    if (decided !== undefined) return decided === "1";
    return Math.random() < (options.capture?.rate ?? 0);
  }

  function record(
    capture: CaptureWriter,
    { signature }: LoadedModel,
    id: string,
    eventTime: number | undefined,
    { rows, values }: Table,
    outputs: readonly ModelOutput[],
  ): void {
    const width = signature.inputs.length;
    const servedAt = Date.now();
    const line: CaptureLine = {
      id,
      rows,
      eventTime: eventTime ?? servedAt,
      servedAt,
      score: scoresOf(signature, outputs, rows),
    };
    for (let column = 0; column < width; column++) {
      const cells: unknown[] = new Array(rows);
      for (let row = 0; row < rows; row++) cells[row] = values[row * width + column];
      line[`c${column}`] = cells;
    }
    capture.add(line);
  }

  async function load(): Promise<void> {
    const model = await loadModel(options.modelDirectory, {
      maxBatchRows: options.maxBatchRows ?? 256,
      maxQueueRequests: options.maxQueueRequests ?? 1024,
      onBatch: metrics.observeBatch,
    });
    const capture =
      options.capture === undefined
        ? undefined
        : createCaptureWriter({
            directory: options.capture.directory,
            header: {
              capture: 1,
              model: name,
              version,
              inputs: model.signature.inputs.map(({ name: column, type }) => ({ name: column, type })),
              scoreType: scoreType(model.signature),
            },
            maxSegmentBytes: 64 * 1024 * 1024,
            maxSegmentSeconds: options.capture.maxSegmentSeconds ?? 10,
            maxBufferBytes: 64 * 1024 * 1024,
          });
    loaded = { model, capture };
  }

  return {
    server,
    load,
    drain() {
      draining = true;
    },
    async close() {
      draining = true;
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      });
      await loaded?.capture?.close();
      await loaded?.model.release();
    },
  };
}

function scoreType(signature: ModelSignature): "number" | "string" {
  const { name } = scoreOutput(signature);
  return signature.outputs.find((output) => output.name === name)?.type === "string" ? "string" : "number";
}

/** V2 says `{error}`, MLflow `{error_code, message}`; both carry our code, place and hint. */
function sendError(response: ServerResponse, protocol: Protocol, thrown: unknown): void {
  const error = toEspalierError(thrown);
  const { code, message, at, hint } = error.toJSON();
  if (code === "INTERNAL") console.error(thrown);
  const body = protocol === "v2" ? { error: message, code, at, hint } : { error_code: code, message, at, hint };
  const headers: OutgoingHttpHeaders = error.retryable ? { "retry-after": "1" } : {};
  reply(response, error.httpStatus, JSON.stringify(body), "application/json", headers);
}
