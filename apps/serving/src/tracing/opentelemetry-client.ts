import type { Context, HrTime } from "@opentelemetry/api";
import { parseTraceContext } from "./trace-context.ts";
import type { Tracing } from "./tracing.ts";

/** Where copies of OpenTelemetry's API, of whatever version 1, keep what was registered. */
const globalApi = Symbol.for("opentelemetry.js.api.1");

/**
 * Tracing through OpenTelemetry's API, for a process that was started with an SDK of its own (`NODE_OPTIONS=--import ...`): its provider
 * decides about sampling and export. Undefined, and nothing is loaded, where none is registered.
 */
export async function openApiTracing(): Promise<Tracing | undefined> {
  const registered = (globalThis as { [globalApi]?: { trace?: unknown } })[globalApi];
  if (registered?.trace === undefined) return undefined;
  const api = await import("@opentelemetry/api");
  const tracer = api.trace.getTracer("espalier-serving");

  function parentOf(headers: { traceparent?: unknown; tracestate?: unknown }): Context {
    const active = api.context.active();
    // An instrumented HTTP server has begun a span for this request already.
    if (api.trace.getSpan(active) !== undefined) return active;
    const caller = parseTraceContext(headers.traceparent, headers.tracestate);
    if (caller === undefined) return active;
    return api.trace.setSpanContext(active, {
      traceId: caller.traceId,
      spanId: caller.spanId,
      traceFlags: caller.isSampled ? api.TraceFlags.SAMPLED : api.TraceFlags.NONE,
      isRemote: true,
      ...(caller.traceState === undefined ? {} : { traceState: api.createTraceState(caller.traceState) }),
    });
  }

  return {
    begin(name, headers, startedAt, kind = "server") {
      const parent = parentOf(headers);
      const spanKind = kind === "server" ? api.SpanKind.SERVER : api.SpanKind.CLIENT;
      const span = tracer.startSpan(name, { kind: spanKind, startTime: timeOf(startedAt) }, parent);
      if (!span.isRecording()) return undefined;
      const own = api.trace.setSpan(parent, span);
      const { traceId, spanId, traceFlags, traceState } = span.spanContext();
      const state = traceState?.serialize() ?? "";
      return {
        traceId,
        headers: {
          traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`,
          ...(state === "" ? {} : { tracestate: state }),
        },
        child(childName, childStartedAt, childEndedAt) {
          tracer
            .startSpan(childName, { startTime: timeOf(childStartedAt) }, own)
            .end(timeOf(Math.max(childStartedAt, childEndedAt)));
        },
        end(attributes, error) {
          for (const [key, value] of Object.entries(attributes)) if (value !== undefined) span.setAttribute(key, value);
          if (error !== undefined) span.setStatus({ code: api.SpanStatusCode.ERROR, message: error });
          span.end(timeOf(performance.now()));
        },
      };
    },
    // The SDK belongs to whoever registered it, and is flushed by them.
    close: () => Promise.resolve(),
  };
}

/** Milliseconds of `performance.now()` as seconds and nanoseconds since the epoch: a plain number would be taken for either clock. */
function timeOf(at: number): HrTime {
  const milliseconds = performance.timeOrigin + at;
  const seconds = Math.floor(milliseconds / 1000);
  return [seconds, Math.round((milliseconds - seconds * 1000) * 1e6)];
}
