import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
} from "node:http";
import { EspalierError, type RouterStatus, servingHeaders, toEspalierError } from "@espalier/core";
import { readBody } from "../http/body.ts";
import { reply } from "../http/reply.ts";
import { chooseVersion, keyFraction } from "./choose.ts";
import { createRouterMetrics } from "./router-metrics.ts";
import { readStateFile, watchStateFile } from "./state-file.ts";
import type { Upstream } from "./upstream.ts";
import { Upstreams } from "./upstreams.ts";

export interface RouterOptions {
  stateFile: string;
  bodyLimitBytes?: number;
}

export interface Router {
  server: Server;
  /** Reads the state and watches it. Errors: NOT_FOUND, INVALID_CONFIG; later unreadable states are reported and the old one stays. */
  open(): Promise<void>;
  status(): RouterStatus;
  drain(): void;
  close(): Promise<void>;
}

/** Paths that go to a model server; everything else is answered here, so that no operational route is reachable from outside. */
const predictPath =
  /^\/(invocations|score|predict|version|v1\/models\/[^/]+|v2|v2\/models\/[^/]+(\/versions\/[^/]+)?(\/(infer|ready))?)$/;
const versionInPath = /\/versions\/([^/]+)/;
const forwarded = [
  "content-type",
  "accept",
  "inference-header-content-length",
  "traceparent",
  "tracestate",
  servingHeaders.predictionId,
  servingHeaders.eventTime,
] as const;
const returned = ["content-type", "retry-after", servingHeaders.predictionId] as const;

/** One endpoint: weighted choice between the model servers of its versions. */
export function createRouter(options: RouterOptions): Router {
  const bodyLimit = options.bodyLimitBytes ?? 16 * 1024 * 1024;
  const upstreams = new Upstreams();
  const metrics = createRouterMetrics();
  let draining = false;
  let stateProblem: string | undefined;
  let stopWatching: (() => void) | undefined;

  const server = createServer((request, response) => {
    route(request, response).catch((error: unknown) => sendError(response, error));
  });
  server.requestTimeout = 60_000;
  server.keepAliveTimeout = 75_000;

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
    if (predictPath.test(path) && (request.method === "POST" || request.method === "GET")) {
      return forward(request, response, path);
    }
    if (request.method === "GET" || request.method === "HEAD") return inform(response, path);
    throw new EspalierError("NOT_FOUND", `There is nothing at ${request.method} ${path}`);
  }

  async function inform(response: ServerResponse, path: string): Promise<void> {
    switch (path) {
      case "/v2/health/live":
        return reply(response, 200, '{"live":true}');
      case "/v2/health/ready":
      case "/":
      case "/ping":
      case "/health": {
        const isReady = status().ready;
        return reply(response, isReady ? 200 : 503, JSON.stringify({ ready: isReady }));
      }
      case "/status": {
        await Promise.all((upstreams.inForce?.upstreams ?? []).map((upstream) => upstream.probe()));
        return reply(response, 200, JSON.stringify(status()));
      }
      case "/metrics":
        return reply(response, 200, await metrics.registry.metrics(), metrics.registry.contentType);
    }
    throw new EspalierError("NOT_FOUND", `There is nothing at GET ${path}`);
  }

  function choose(request: IncomingMessage, path: string): { upstream: Upstream; captureRate: number } {
    const { inForce } = upstreams;
    if (inForce === undefined) {
      throw new EspalierError("UNAVAILABLE", "No version of this endpoint is ready yet");
    }
    const { versions, captureRate } = inForce.state;
    const wanted = versionInPath.exec(path)?.[1];
    const key = request.headers[servingHeaders.stickyKey];
    const chosen =
      wanted === undefined
        ? chooseVersion(versions, key === undefined ? Math.random() : keyFraction(String(key)))
        : versions.find(({ version }) => version === decodeURIComponent(wanted));
    const upstream = chosen === undefined ? undefined : inForce.upstreams[versions.indexOf(chosen)];
    if (upstream === undefined) {
      const known = versions.map(({ version }) => version).join(", ");
      throw new EspalierError("NOT_FOUND", `This endpoint has no version ${wanted}, only ${known}`);
    }
    return { upstream, captureRate };
  }

  async function forward(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const start = performance.now();
    const isPrediction = request.method === "POST";
    const body = isPrediction ? await readBody(request, bodyLimit) : undefined;
    // Chosen after the body has come, so that a slow caller is not held to a state that has passed.
    const { upstream, captureRate } = choose(request, path);
    const { version } = upstream.target;
    upstream.inFlight++;
    let statusCode = 500;
    try {
      const answer = await upstream.send({
        method: isPrediction ? "POST" : "GET",
        path: request.url ?? path,
        headers: requestHeaders(request, captureRate),
        body,
      });
      statusCode = answer.status;
      const headers: OutgoingHttpHeaders = { [servingHeaders.version]: version };
      for (const name of returned) if (answer.headers[name] !== undefined) headers[name] = String(answer.headers[name]);
      if (draining) headers.connection = "close";
      reply(response, answer.status, answer.body, String(headers["content-type"] ?? "application/json"), headers);
    } catch (error) {
      statusCode = toEspalierError(error).httpStatus;
      response.setHeader(servingHeaders.version, version);
      sendError(response, error);
    } finally {
      upstream.inFlight--;
      if (isPrediction) {
        upstream.requests++;
        if (statusCode >= 500) upstream.errors++;
        metrics.observe(version, statusCode, (performance.now() - start) / 1000);
      }
      upstreams.closeIfIdle(upstream);
    }
  }

  function status(): RouterStatus {
    const { inForce, wanted } = upstreams;
    const shown = inForce ?? wanted;
    const generation = inForce?.state.generation ?? 0;
    const notReady = wanted?.upstreams
      .filter(({ ready }) => !ready)
      .map(({ target, message }) => `${target.version}: ${message}`);
    const message = stateProblem ?? (notReady === undefined ? undefined : `waits for versions ${notReady.join("; ")}`);
    return {
      endpoint: shown?.state.endpoint ?? "",
      pid: process.pid,
      generation,
      wantedGeneration: wanted?.state.generation ?? generation,
      ready: inForce !== undefined && !draining,
      ...(message === undefined ? {} : { message }),
      versions: (shown?.upstreams ?? []).map((upstream, index) => {
        const { key, model, version } = upstream.target;
        const p50Seconds = metrics.quantile(version, 0.5);
        const p99Seconds = metrics.quantile(version, 0.99);
        return {
          key,
          model,
          version,
          weight: inForce === undefined ? 0 : (inForce.state.versions[index]?.weight ?? 0),
          ready: upstream.ready,
          ...(upstream.message === undefined ? {} : { message: upstream.message }),
          requests: upstream.requests,
          errors: upstream.errors,
          ...(p50Seconds === undefined ? {} : { p50Seconds }),
          ...(p99Seconds === undefined ? {} : { p99Seconds }),
        };
      }),
      draining: [...upstreams.draining].map(({ target }) => target.key),
    };
  }

  async function reread(): Promise<void> {
    try {
      upstreams.want(await readStateFile(options.stateFile));
      stateProblem = undefined;
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      if (problem !== stateProblem) console.error(JSON.stringify({ level: "error", message: problem }));
      stateProblem = problem;
    }
  }

  return {
    server,
    status,
    async open() {
      upstreams.want(await readStateFile(options.stateFile));
      stopWatching = watchStateFile(options.stateFile, () => void reread());
    },
    drain() {
      draining = true;
    },
    async close() {
      draining = true;
      stopWatching?.();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      });
      await upstreams.close();
    },
  };
}

function requestHeaders(request: IncomingMessage, captureRate: number): Record<string, string> {
  const headers: Record<string, string> = {
    [servingHeaders.capture]: captureRate > 0 && Math.random() < captureRate ? "1" : "0",
  };
  for (const name of forwarded) {
    const value = request.headers[name];
    if (value !== undefined) headers[name] = String(value);
  }
  return headers;
}

function sendError(response: ServerResponse, thrown: unknown): void {
  const error = toEspalierError(thrown);
  const { code, message, hint } = error.toJSON();
  if (code === "INTERNAL") console.error(thrown);
  const headers: OutgoingHttpHeaders = error.retryable ? { "retry-after": "1" } : {};
  reply(
    response,
    error.httpStatus,
    JSON.stringify({ error: message, error_code: code, message, hint }),
    "application/json",
    headers,
  );
}
