import { setTimeout as delay } from "node:timers/promises";
import { EspalierError, type ModelSignature, servingHeaders, toEspalierError } from "@espalier/core";
import { createSparseLog, log } from "../log.ts";
import type { CapturedExchange, CaptureSink, Payload } from "./captured-exchange.ts";
import { createPlainPayloads } from "./plain-payload.ts";
import type { RedactionOptions } from "./redaction.ts";

export interface CloudEventsSinkOptions {
  /** Where events are posted. */
  url: string;
  model: { name: string; version: string; signature: ModelSignature };
  redaction: RedactionOptions;
  /** CloudEvents' `source`: a URI reference. */
  source: string;
  /** Attributes by which KServe's consumers tell who served. */
  inferenceService: string;
  namespace: string;
  component: string;
  endpoint: string;
  /** Bytes of bodies that may wait for the receiver; further exchanges are dropped and counted. */
  maxBufferBytes: number;
}

/** Events under way at one time. */
const senders = 4;
const answerMilliseconds = 10_000;
const tries = 3;
/** A receiver that does not answer for so long must not hold up the end of the process. */
const patienceMilliseconds = 5_000;

/**
 * KServe's inference logger: for each exchange a request and a response event in CloudEvents' binary mode, each with its own content type
 * and both with one id. Source: kserve/kserve pkg/logger; CloudEvents HTTP binding 1.0.2. Beyond KServe: a receiver that stalls never
 * holds up a prediction; what does not fit into memory is dropped and counted.
 */
export function createCloudEventsSink(options: CloudEventsSinkOptions): CaptureSink {
  const payloads = createPlainPayloads(options.model.signature, options.redaction);
  const waiting: CapturedExchange[] = [];
  const stop = new AbortController();
  const warn = createSparseLog();
  let waitingBytes = 0;
  let sending = 0;
  let captured = 0;
  let dropped = 0;
  let whenIdle: PromiseWithResolvers<void> | undefined;

  function work(): void {
    while (sending < senders) {
      const exchange = waiting.shift();
      if (exchange === undefined) break;
      sending++;
      void deliver(exchange).then(() => {
        sending--;
        waitingBytes -= sizeOf(exchange);
        work();
      });
    }
    if (sending === 0 && waiting.length === 0) whenIdle?.resolve();
  }

  async function deliver(exchange: CapturedExchange): Promise<void> {
    const { rows } = exchange.table;
    try {
      await send(exchange, "request", payloads.request(exchange));
      await send(exchange, "response", payloads.response(exchange));
      captured += rows;
    } catch (error) {
      dropped += rows;
      const { message } = toEspalierError(error);
      warn(`capture: an event was not delivered: ${message}`, { predictionId: exchange.id, droppedRows: dropped });
    }
  }

  async function send(exchange: CapturedExchange, kind: "request" | "response", payload: Payload): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const problem = await post(exchange, kind, payload);
      if (problem === undefined) return;
      if (attempt === tries || !problem.retryable || stop.signal.aborted) throw problem;
      await delay(100 * 4 ** attempt, undefined, { signal: stop.signal, ref: false });
    }
  }

  /** What went wrong, if anything. */
  async function post(
    exchange: CapturedExchange,
    kind: string,
    { contentType, body }: Payload,
  ): Promise<EspalierError | undefined> {
    try {
      const response = await fetch(options.url, {
        method: "POST",
        headers: { ...eventHeaders(options, exchange, kind), "content-type": contentType },
        body: body as Uint8Array<ArrayBuffer> | string,
        redirect: "error",
        signal: AbortSignal.any([stop.signal, AbortSignal.timeout(answerMilliseconds)]),
      });
      await response.body?.cancel();
      if (response.ok) return undefined;
      const isBusy = response.status === 429 || response.status >= 500;
      return new EspalierError(isBusy ? "UNAVAILABLE" : "INVALID_INPUT", `the receiver answered ${response.status}`);
    } catch (cause) {
      const reason =
        cause instanceof Error ? ((cause.cause as Error | undefined)?.message ?? cause.message) : String(cause);
      return new EspalierError("UNAVAILABLE", `the receiver can not be reached: ${reason}`, { cause });
    }
  }

  async function flush(): Promise<void> {
    if (sending === 0 && waiting.length === 0) return;
    whenIdle ??= Promise.withResolvers<void>();
    const { promise } = whenIdle;
    const late = delay(patienceMilliseconds, "late" as const, { ref: false });
    if ((await Promise.race([promise, late])) === "late") {
      throw new EspalierError(
        "TIMEOUT",
        `The receiver did not take all events within ${patienceMilliseconds / 1000} s`,
        {
          at: options.url,
        },
      );
    }
    whenIdle = undefined;
  }

  return {
    add(exchange) {
      const bytes = sizeOf(exchange);
      if (waitingBytes + bytes > options.maxBufferBytes) {
        dropped += exchange.table.rows;
        return;
      }
      waitingBytes += bytes;
      waiting.push(exchange);
      work();
    },
    flush,
    async close() {
      try {
        await flush();
      } catch (error) {
        for (const { table } of waiting.splice(0)) dropped += table.rows;
        stop.abort(error);
        log("error", `capture: closed without some events: ${toEspalierError(error).message}`, {
          droppedRows: dropped,
        });
      }
    },
    counts: () => ({ captured, dropped }),
  };
}

/** What an exchange holds in memory while it waits, about. */
function sizeOf({ request, response, table }: CapturedExchange): number {
  return 500 + (request?.body.length ?? 0) + (response?.body.length ?? 0) + 16 * table.values.length;
}

function eventHeaders(
  { model, source, inferenceService, namespace, component, endpoint }: CloudEventsSinkOptions,
  { id, servedAt }: CapturedExchange,
  kind: string,
): Record<string, string> {
  const time = new Date(servedAt).toISOString();
  const attributes = {
    specversion: "1.0",
    id,
    type: `org.kubeflow.serving.inference.${kind}`,
    source,
    time,
    inferenceservicename: inferenceService,
    namespace,
    component,
    endpoint,
    recordedtime: time,
    metadata: JSON.stringify({ [servingHeaders.version]: [model.version], [servingHeaders.predictionId]: [id] }),
  };
  return Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`ce-${name}`, headerValue(value)]));
}

/** As CloudEvents' HTTP binding writes text into a header: space, `"`, `%` and all that is not printable ASCII by percent. */
function headerValue(text: string): string {
  return text.replaceAll(/[^\x21\x23\x24\x26-\x7e]+/g, (part) =>
    [...Buffer.from(part)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(""),
  );
}
