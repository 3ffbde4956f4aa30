import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
} from "node:http";
import { EspalierError, type RouterStatus, servingHeaders, toEspalierError } from "@espalier/core";
import { receiveBody } from "../http/body.ts";
import { mlflowCode } from "../http/error-forms.ts";
import { reply } from "../http/reply.ts";
import type { Tracing } from "../tracing/tracing.ts";
import { chooseVersion, compileRules, keyFraction } from "./choose.ts";
import { closeGently, stopListening, watchConnections } from "./close-gently.ts";
import type { Answer, ReplicaRequest } from "./dispatch.ts";
import { forward } from "./forward.ts";
import { createRetryBudget } from "./retry-budget.ts";
import { createRouterMetrics } from "./router-metrics.ts";
import { routerStatus } from "./router-status.ts";
import { givenTimeout, headersFor, isPathOf, isPredictPath, modelOfPath, returned, versionOfPath } from "./routes.ts";
import { Shadows } from "./shadow.ts";
import { readStateFile, watchStateFile } from "./state-file.ts";
import { Upstreams } from "./upstreams.ts";
import type { VersionPool } from "./version-pool.ts";

export interface RouterOptions {
  stateFile: string;
  bodyLimitBytes?: number;
  /** Spans of requests, where somebody collects them. */
  tracing?: Tracing | undefined;
}

export interface Router {
  server: Server;
  /** Reads the state and watches it. Errors: NOT_FOUND, INVALID_CONFIG; later unreadable states are reported and the old one stays. */
  open(): Promise<void>;
  status(): RouterStatus;
  /** Readiness goes false; requests are still answered. */
  drain(): void;
  /** Takes no more connections, tells callers to close theirs, and resolves when the last one is gone; idle ones are given so long. */
  close(idleSeconds?: number): Promise<void>;
}

const defaultTimeoutSeconds = 60;

/** One endpoint: rules and weighted choice between the versions, and between the replicas of the chosen one. */
export function createRouter(options: RouterOptions): Router {
  const bodyLimit = options.bodyLimitBytes ?? 16 * 1024 * 1024;
  const upstreams = new Upstreams();
  const shadows = new Shadows(upstreams);
  const budget = createRetryBudget();
  const metrics = createRouterMetrics(upstreams);
  let ruleFor = compileRules([]);
  let stickyHeader: string = servingHeaders.stickyKey;
  let rulesOf: unknown;
  let draining = false;
  let leaving = false;
  let stateProblem: string | undefined;
  let stopWatching: (() => void) | undefined;

  const server = createServer((request, response) => {
    // Told with every answer, so that no caller sends into a connection that is being closed.
    if (leaving) response.setHeader("connection", "close");
    route(request, response).catch((error: unknown) => sendError(response, error));
  });
  watchConnections(server);
  server.requestTimeout = 60_000;
  server.keepAliveTimeout = 75_000;

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
    if (request.method === "POST" || request.method === "GET") {
      if (isPredictPath(path) || upstreams.pools.some(({ target }) => isPathOf(target, path))) {
        return predict(request, response, path);
      }
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
        const looks = upstreams.pools.flatMap((pool) => pool.replicas.map((replica) => upstreams.look(pool, replica)));
        await Promise.all(looks);
        return reply(response, 200, JSON.stringify(status()));
      }
      case "/metrics":
        return reply(response, 200, await metrics.registry.metrics(), metrics.registry.contentType);
    }
    throw new EspalierError("NOT_FOUND", `There is nothing at GET ${path}`);
  }

  /** The version of one request. What the path names comes before the rules, the rules before the weights. */
  function choose(request: IncomingMessage, path: string): VersionPool {
    const { inForce } = upstreams;
    if (inForce === undefined) throw new EspalierError("UNAVAILABLE", "No version of this endpoint is ready yet");
    if (rulesOf !== inForce.state) {
      rulesOf = inForce.state;
      ruleFor = compileRules(inForce.state.rules ?? []);
      stickyHeader = (inForce.state.stickyHeader ?? servingHeaders.stickyKey).toLowerCase();
    }
    const { pools } = inForce;
    const { versions } = inForce.state;
    // Two models may have one version number: then the model that is named decides.
    const poolOf = (version: string, model?: string) =>
      pools[versions.findIndex((one) => one.version === version && one.model === model)] ??
      pools[versions.findIndex((one) => one.version === version)];
    const named = versionOfPath(path);
    if (named !== undefined) {
      const pool = poolOf(named, modelOfPath(path));
      if (pool !== undefined) return pool;
      const known = versions.map(({ version }) => version).join(", ");
      throw new EspalierError("NOT_FOUND", `This endpoint has no version ${named}, only ${known}`);
    }
    const given = request.headers[stickyHeader];
    const key = given === undefined ? undefined : String(given);
    const ruled = ruleFor(request.headers, key);
    const byRule = ruled === undefined ? undefined : poolOf(ruled);
    if (byRule !== undefined) return byRule;
    const chosen = chooseVersion(versions, key === undefined ? Math.random() : keyFraction(key));
    const pool = chosen === undefined ? undefined : pools[versions.indexOf(chosen)];
    if (pool === undefined) throw new EspalierError("UNAVAILABLE", "No version of this endpoint has traffic");
    return pool;
  }

  /** Whoever asks for a version that no traffic reaches is trying it out: monitors must not take that for traffic. */
  function isCaptured({ target }: VersionPool, path: string): boolean {
    const { captureRate = 0, rules = [] } = upstreams.inForce?.state ?? {};
    if (captureRate === 0 || Math.random() >= captureRate) return false;
    if (target.weight > 0 || versionOfPath(path) === undefined) return true;
    return rules.some(({ version }) => version === target.version);
  }

  async function predict(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const start = performance.now();
    const isPrediction = request.method === "POST";
    const { traceparent, tracestate } = request.headers;
    const trace = isPrediction ? options.tracing?.begin("route", { traceparent, tracestate }, start) : undefined;
    const patience = givenTimeout(request.headers);
    // As it came: a compressed body goes on with the header that says so.
    const body = isPrediction ? await receiveBody(request, bodyLimit) : undefined;
    const limits = upstreams.inForce?.state.limits;
    const longest = (limits?.timeoutSeconds ?? defaultTimeoutSeconds) * 1000;
    const deadline = start + Math.min(longest, patience ?? longest);
    // Chosen after the body has come, so that a slow caller is not held to a state that has passed.
    let chosen: VersionPool | undefined;
    let sent: ReplicaRequest | undefined;
    let captured: boolean | undefined;
    let statusCode = 500;
    budget.earn();
    try {
      const { answer, pool } = await forward({
        upstreams,
        budget,
        deadline,
        isGone: () => response.destroyed,
        choose() {
          chosen = choose(request, path);
          return chosen;
        },
        request(remaining) {
          const { target } = chosen as VersionPool;
          const headers = headersFor(target, request.headers);
          captured ??= isCaptured(chosen as VersionPool, path);
          headers[servingHeaders.capture] = captured ? "1" : "0";
          Object.assign(headers, trace?.headers);
          if (patience !== undefined) headers[servingHeaders.timeout] = String(Math.ceil(remaining));
          sent = { method: isPrediction ? "POST" : "GET", path: request.url ?? path, headers, body };
          return sent;
        },
        onRetry(pool, reason) {
          pool.retries++;
          metrics.retry(pool.target.version, reason);
        },
      });
      statusCode = answer.status;
      send(response, answer, pool);
      if (isPrediction && sent !== undefined && statusCode === 200 && versionOfPath(path) === undefined) {
        mirror(sent, answer, pool);
      }
    } catch (error) {
      statusCode = toEspalierError(error).httpStatus;
      if (chosen !== undefined) response.setHeader(servingHeaders.version, chosen.target.version);
      sendError(response, error);
    } finally {
      trace?.end(
        { "espalier.version": chosen?.target.version, "http.response.status_code": statusCode },
        statusCode >= 500 ? `answered ${statusCode}` : undefined,
      );
      if (isPrediction && chosen !== undefined) {
        const seconds = (performance.now() - start) / 1000;
        chosen.count(statusCode, seconds);
        metrics.observe(chosen.target.version, statusCode, seconds);
      }
    }
  }

  /** With the id that the answer was given, so that what both captured can be joined. */
  function mirror(request: ReplicaRequest, answer: Answer, pool: VersionPool): void {
    if (!upstreams.pools.some(({ target }) => (target.mirror ?? 0) > 0)) return;
    const id = answer.headers[servingHeaders.predictionId];
    const { [servingHeaders.timeout]: _patience, ...rest } = request.headers;
    const headers: Record<string, string> = rest;
    if (id !== undefined) headers[servingHeaders.predictionId] = String(id);
    shadows.mirror({ ...request, headers }, answer, pool);
  }

  function status(): RouterStatus {
    return routerStatus(upstreams, draining, stateProblem);
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
    async close(idleSeconds = 0) {
      draining = true;
      leaving = true;
      const gone = stopListening(server);
      await closeGently(server, gone, idleSeconds);
      stopWatching?.();
      await upstreams.close();
    },
  };
}

function send(response: ServerResponse, answer: Answer, { target }: VersionPool): void {
  const headers: OutgoingHttpHeaders = { [servingHeaders.version]: target.version };
  for (const name of returned) if (answer.headers[name] !== undefined) headers[name] = String(answer.headers[name]);
  if (answer.stream === undefined) {
    reply(response, answer.status, answer.body, String(headers["content-type"] ?? "application/json"), headers);
    return;
  }
  response.writeHead(answer.status, headers);
  response.on("close", () => answer.stream?.destroy());
  // A stream that breaks breaks the answer: the caller must not take half of it for all.
  answer.stream.on("error", () => response.destroy());
  answer.stream.pipe(response);
}

function sendError(response: ServerResponse, thrown: unknown): void {
  const error = toEspalierError(thrown);
  const { code, message, hint } = error.toJSON();
  if (code === "INTERNAL") console.error(thrown);
  const headers: OutgoingHttpHeaders = error.retryable ? { "retry-after": "1" } : {};
  reply(
    response,
    error.httpStatus,
    // What the caller speaks is not looked at: each protocol finds its own names.
    JSON.stringify({ error: message, error_code: mlflowCode(code), message, code, hint }),
    "application/json",
    headers,
  );
}
