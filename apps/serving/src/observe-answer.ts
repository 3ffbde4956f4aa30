import { toEspalierError } from "@espalier/core";
import { log } from "./log.ts";
import type { ObservedRequest } from "./metrics.ts";
import type { Serving } from "./serving.ts";
import { parseTraceContext } from "./tracing/trace-context.ts";
import type { RequestTrace } from "./tracing/tracing.ts";

/** Which requests are logged: those that took long or that the server failed at, or all. */
export interface RequestLogging {
  requests: "problems" | "all";
  /** A request that takes longer is logged. */
  slowSeconds: number;
}

const defaultRequestLogging: RequestLogging = { requests: "problems", slowSeconds: 1 };

/** A request over any transport, once it is answered. */
export interface AnsweredRequest {
  protocol: string;
  /** HTTP's, or what HTTP would say. */
  status: number;
  /** `performance.now()` when its head had come. */
  startedAt: number;
  rows: number;
  served?: { name: string; version: string } | undefined;
  /** What the caller knows the request by. */
  requestId?: string | undefined;
  predictionId?: string | undefined;
  /** The caller's trace, for logs of requests that are not traced here. */
  traceparent?: unknown;
  trace?: RequestTrace | undefined;
  error?: unknown;
}

/** Counts it, ends its span, and logs it where somebody should know. Values of the request are never logged. */
export function observeAnswer({ metrics, logging = defaultRequestLogging }: Serving, request: AnsweredRequest): void {
  const { protocol, status, rows, served, trace } = request;
  const seconds = (performance.now() - request.startedAt) / 1000;
  metrics.observeRequest({
    protocol,
    status,
    seconds,
    rows,
    model: served?.name,
    version: served?.version,
  } satisfies ObservedRequest);
  const isFault = status >= 500;
  const isOverload = status === 429;
  const isSlow = seconds >= logging.slowSeconds;
  if (trace === undefined && !isFault && !isOverload && !isSlow && logging.requests !== "all") return;
  const error = request.error === undefined ? undefined : toEspalierError(request.error);
  trace?.end(
    {
      "espalier.protocol": protocol,
      "espalier.model": served?.name,
      "espalier.version": served?.version,
      "espalier.prediction_id": request.predictionId,
      "espalier.rows": rows,
      "http.response.status_code": status,
      "error.type": error?.code,
    },
    isFault ? (error?.message ?? `answered ${status}`) : undefined,
  );
  if (!isFault && !isOverload && !isSlow && logging.requests !== "all") return;
  const fields = {
    protocol,
    status,
    seconds: Number(seconds.toFixed(6)),
    rows,
    model: served?.name,
    version: served?.version,
    requestId: request.requestId,
    predictionId: request.predictionId,
    traceId: trace?.traceId ?? parseTraceContext(request.traceparent)?.traceId,
    ...(error === undefined ? {} : { code: error.code, at: error.at }),
  };
  if (error?.code === "INTERNAL") {
    const stack = error.cause instanceof Error ? error.cause.stack : error.stack;
    log("error", error.message, { ...fields, stack });
  } else if (isFault || isOverload) log("warn", error?.message ?? `answered ${status}`, fields);
  else log(isSlow ? "warn" : "info", isSlow ? "slow request" : "request", fields);
}
