import { log } from "../log.ts";
import type { ExportedSpan, SpanAttributes, SpanExporter } from "./spans.ts";
import { formatTraceparent, newSpanId, newTraceId, parseTraceContext, type TraceContext } from "./trace-context.ts";

/** The span of one request, while it is under way. All times are milliseconds of `performance.now()`. */
export interface RequestTrace {
  traceId: string;
  /** Headers with which a further server is asked, so that its span becomes a child of this one. */
  headers: Readonly<Record<string, string>>;
  /** A part of the request that is over. */
  child(name: string, startedAt: number, endedAt: number): void;
  /** `error`: what the caller is told; only faults of the server make a span one that failed. */
  end(attributes: SpanAttributes, error?: string): void;
}

/** Spans of requests, where somebody collects them. */
export interface Tracing {
  /** Undefined for a request that is not sampled: by its caller, else by the sampler. */
  begin(
    name: string,
    context: { traceparent?: unknown; tracestate?: unknown },
    startedAt: number,
    kind?: "server" | "client",
  ): RequestTrace | undefined;
  /** Sends what waits, within seconds. */
  close(): Promise<void>;
}

/**
 * Tracing through the provider that an SDK in this process has registered; else as OpenTelemetry's environment variables ask for it, by OTLP
 * over HTTP, in JSON; undefined when neither is there. What is needed for either is loaded only then.
 * Source: opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables.
 */
export async function openTracing(service: string, environment: NodeJS.ProcessEnv): Promise<Tracing | undefined> {
  if (environment.OTEL_SDK_DISABLED?.toLowerCase() === "true") return undefined;
  const registered = await (await import("./opentelemetry-client.ts")).openApiTracing();
  if (registered !== undefined) return registered;
  const base = environment.OTEL_EXPORTER_OTLP_ENDPOINT;
  const url =
    environment.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? (base ? `${base.replace(/\/+$/, "")}/v1/traces` : undefined);
  if (!url || environment.OTEL_TRACES_EXPORTER === "none") return undefined;
  const protocol = environment.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL ?? environment.OTEL_EXPORTER_OTLP_PROTOCOL;
  if (protocol === "grpc") {
    log("warn", "Traces are sent by OTLP over HTTP only: OTEL_EXPORTER_OTLP_PROTOCOL=grpc turns them off here", {
      url,
    });
    return undefined;
  }
  const { createOtlpExporter } = await import("./otlp-exporter.ts");
  return createTracing(createOtlpExporter(url, service, environment), samplerOf(environment));
}

/** Whether a request without a caller's decision, or with one, is recorded. */
type Sampler = (parent: TraceContext | undefined, traceId: string) => boolean;

function samplerOf({
  OTEL_TRACES_SAMPLER: name = "parentbased_always_on",
  OTEL_TRACES_SAMPLER_ARG: given,
}: NodeJS.ProcessEnv): Sampler {
  const share =
    given === undefined || given.trim() === "" || !(Number(given) >= 0 && Number(given) <= 1) ? 1 : Number(given);
  const root = name.replace(/^parentbased_/, "");
  // As in OpenTelemetry's SDKs: the last 7 bytes of the id, so that every service of a trace decides alike.
  const byRatio = (traceId: string): boolean => Number.parseInt(traceId.slice(-14), 16) < share * 2 ** 56;
  const decide = (traceId: string): boolean =>
    root === "always_off" ? false : root === "traceidratio" ? byRatio(traceId) : true;
  const isParentBased = name.startsWith("parentbased_");
  return (parent, traceId) => (isParentBased && parent !== undefined ? parent.isSampled : decide(traceId));
}

const always: Sampler = () => true;

export function createTracing(exporter: SpanExporter, sample: Sampler = always): Tracing {
  const nanoseconds = (at: number): string => String(BigInt(Math.round((performance.timeOrigin + at) * 1000)) * 1000n);

  return {
    begin(name, { traceparent, tracestate }, startedAt, kind = "server") {
      const parent = parseTraceContext(traceparent, tracestate);
      const traceId = parent?.traceId ?? newTraceId();
      if (!sample(parent, traceId)) return undefined;
      const spanId = newSpanId();
      const traceState = parent?.traceState;
      const own = {
        traceId,
        ...(traceState === undefined ? {} : { traceState }),
      };
      const children: ExportedSpan[] = [];
      return {
        traceId,
        headers: {
          traceparent: formatTraceparent({ traceId, spanId, isSampled: true }),
          ...(traceState === undefined ? {} : { tracestate: traceState }),
        },
        child(childName, childStartedAt, childEndedAt) {
          children.push({
            ...own,
            spanId: newSpanId(),
            parentSpanId: spanId,
            name: childName,
            kind: "internal",
            startNanoseconds: nanoseconds(childStartedAt),
            endNanoseconds: nanoseconds(Math.max(childStartedAt, childEndedAt)),
            attributes: {},
          });
        },
        end(attributes, error) {
          exporter.add({
            ...own,
            spanId,
            ...(parent === undefined ? {} : { parentSpanId: parent.spanId }),
            name,
            kind,
            startNanoseconds: nanoseconds(startedAt),
            endNanoseconds: nanoseconds(performance.now()),
            attributes,
            ...(error === undefined ? {} : { error }),
          });
          for (const child of children) exporter.add(child);
        },
      };
    },
    close: () => exporter.close(),
  };
}
