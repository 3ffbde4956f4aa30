import { setTimeout as delay } from "node:timers/promises";
import { createSparseLog } from "../log.ts";
import type { ExportedSpan, SpanAttributes, SpanExporter } from "./spans.ts";

/** opentelemetry-proto, trace/v1/trace.proto, Span.SpanKind and Status.StatusCode. */
const kinds = { internal: 1, server: 2, client: 3 } as const;
const failedStatus = 2;

const scope = { name: "espalier-serving" };
const retried = new Set([429, 502, 503, 504]);
const tries = 3;
const patienceMilliseconds = 3_000;

/** OTLP over HTTP in JSON, in batches. Source: opentelemetry.io/docs/specs/otlp; limits as OpenTelemetry's batch processor has them. */
export function createOtlpExporter(url: string, service: string, environment: NodeJS.ProcessEnv = {}): SpanExporter {
  const mostWaiting = whole(environment.OTEL_BSP_MAX_QUEUE_SIZE, 2048);
  const batchSize = whole(environment.OTEL_BSP_MAX_EXPORT_BATCH_SIZE, 512);
  const delayMilliseconds = whole(environment.OTEL_BSP_SCHEDULE_DELAY, 5000);
  const timeoutMilliseconds = whole(
    environment.OTEL_EXPORTER_OTLP_TRACES_TIMEOUT ?? environment.OTEL_EXPORTER_OTLP_TIMEOUT,
    10_000,
  );
  const headers = {
    ...pairs(environment.OTEL_EXPORTER_OTLP_TRACES_HEADERS ?? environment.OTEL_EXPORTER_OTLP_HEADERS),
    "content-type": "application/json",
  };
  const resource = { attributes: attributesOf(resourceOf(service, environment)) };
  const stop = new AbortController();
  const warn = createSparseLog();
  let waiting: ExportedSpan[] = [];
  let sending: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let sent = 0;
  let dropped = 0;

  function schedule(): void {
    if (waiting.length >= batchSize) void send();
    else timer ??= setTimeout(() => void send(), delayMilliseconds).unref();
  }

  /** All that waits now, batch after batch. */
  function send(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    sending ??= (async () => {
      while (waiting.length > 0) await deliver(waiting.splice(0, batchSize));
    })().finally(() => {
      sending = undefined;
    });
    return sending;
  }

  async function deliver(spans: readonly ExportedSpan[]): Promise<void> {
    const body = JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ scope, spans: spans.map(spanJson) }] }] });
    let problem = "";
    for (let attempt = 1; attempt <= tries && !stop.signal.aborted; attempt++) {
      try {
        const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(timeoutMilliseconds)]);
        const response = await fetch(url, { method: "POST", headers, body, signal, redirect: "error" });
        await response.body?.cancel();
        if (response.ok) {
          sent += spans.length;
          return;
        }
        problem = `it answered ${response.status}`;
        if (!retried.has(response.status)) break;
      } catch (error) {
        problem =
          error instanceof Error ? ((error.cause as Error | undefined)?.message ?? error.message) : String(error);
      }
      if (attempt < tries) await delay(250 * 4 ** attempt, undefined, { ref: false });
    }
    dropped += spans.length;
    warn(`traces: spans did not reach the collector: ${problem}`, { url, droppedSpans: dropped });
  }

  return {
    add(span) {
      if (waiting.length >= mostWaiting) {
        dropped++;
        return;
      }
      waiting.push(span);
      schedule();
    },
    counts: () => ({ sent, dropped }),
    async close() {
      const late = delay(patienceMilliseconds, undefined, { ref: false });
      await Promise.race([send(), late]);
      stop.abort();
      dropped += waiting.length;
      waiting = [];
    },
  };
}

function spanJson(span: ExportedSpan): object {
  const { traceId, spanId, parentSpanId, traceState, name, kind, startNanoseconds, endNanoseconds, error } = span;
  return {
    traceId,
    spanId,
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    ...(traceState === undefined ? {} : { traceState }),
    name,
    kind: kinds[kind],
    startTimeUnixNano: startNanoseconds,
    endTimeUnixNano: endNanoseconds,
    attributes: attributesOf(span.attributes),
    status: error === undefined ? {} : { code: failedStatus, message: error },
  };
}

function attributesOf(attributes: SpanAttributes): { key: string; value: object }[] {
  return Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ({ key, value: attributeValue(value) }));
}

function attributeValue(value: SpanAttributes[string]): object {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}

function resourceOf(service: string, environment: NodeJS.ProcessEnv): SpanAttributes {
  const given = pairs(environment.OTEL_RESOURCE_ATTRIBUTES);
  return {
    "service.name": service,
    "process.pid": process.pid,
    ...given,
    ...(environment.OTEL_SERVICE_NAME ? { "service.name": environment.OTEL_SERVICE_NAME } : {}),
  };
}

/** `key=value,key=value`, values in percent encoding. What is not a pair is left out. */
function pairs(text = ""): Record<string, string> {
  const found: Record<string, string> = {};
  for (const part of text.split(",")) {
    const at = part.indexOf("=");
    if (at <= 0) continue;
    const value = part.slice(at + 1).trim();
    try {
      found[part.slice(0, at).trim()] = decodeURIComponent(value);
    } catch {
      // A stray percent sign: the value stands for itself.
      found[part.slice(0, at).trim()] = value;
    }
  }
  return found;
}

function whole(text: string | undefined, otherwise: number): number {
  const value = Number(text);
  return text !== undefined && text.trim() !== "" && Number.isInteger(value) && value > 0 ? value : otherwise;
}
