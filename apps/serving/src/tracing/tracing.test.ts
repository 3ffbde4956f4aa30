import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { columnModel, columnSignature, writeModelFolder } from "@espalier/conformance";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { runServer, temporaryFolder } from "../testing/running-server.ts";
import { createOtlpExporter } from "./otlp-exporter.ts";
import { formatTraceparent, parseTraceContext } from "./trace-context.ts";
import { createTracing, openTracing } from "./tracing.ts";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const spanId = "00f067aa0ba902b7";

interface SentSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  traceState?: string;
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: { key: string; value: Record<string, unknown> }[];
  status: { code?: number; message?: string };
}

/** A collector that takes OTLP over HTTP in JSON. */
async function collector(answer: () => number = () => 200) {
  const requests: {
    path: string;
    headers: IncomingHttpHeaders;
    spans: SentSpan[];
    resource: Record<string, unknown>;
  }[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const [resourceSpans] = JSON.parse(Buffer.concat(chunks).toString()).resourceSpans;
      const attributes = resourceSpans.resource.attributes as SentSpan["attributes"];
      requests.push({
        path: request.url ?? "",
        headers: request.headers,
        spans: resourceSpans.scopeSpans[0].spans,
        resource: Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]])),
      });
      response.writeHead(answer(), { "content-type": "application/json" }).end("{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    spans: () => requests.flatMap(({ spans }) => spans),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe("W3C trace context", () => {
  it.each<[string, unknown, boolean | undefined]>([
    ["sampled", `00-${traceId}-${spanId}-01`, true],
    ["not sampled", `00-${traceId}-${spanId}-00`, false],
    ["other flags", `00-${traceId}-${spanId}-03`, true],
    ["a later version with more behind it", `cc-${traceId}-${spanId}-01-what-may-come`, true],
    ["more behind version 00", `00-${traceId}-${spanId}-01-x`, undefined],
    ["version ff", `ff-${traceId}-${spanId}-01`, undefined],
    ["no trace", `00-${"0".repeat(32)}-${spanId}-01`, undefined],
    ["no span", `00-${traceId}-${"0".repeat(16)}-01`, undefined],
    ["capital letters", `00-${traceId.toUpperCase()}-${spanId}-01`, undefined],
    ["nonsense", "nonsense", undefined],
    ["nothing", undefined, undefined],
    ["a header twice", [`00-${traceId}-${spanId}-01`], undefined],
  ])("%s", (_name, header, isSampled) => {
    const context = parseTraceContext(header, "vendor=1");
    expect(context?.isSampled).toBe(isSampled);
    if (context === undefined) return;
    expect(context).toMatchObject({ traceId, spanId, traceState: "vendor=1" });
    expect(formatTraceparent(context)).toBe(`00-${traceId}-${spanId}-${isSampled ? "01" : "00"}`);
  });

  it("a state that is too long is not passed on", () => {
    expect(parseTraceContext(`00-${traceId}-${spanId}-01`, "x".repeat(5000))).not.toHaveProperty("traceState");
  });
});

describe("tracing", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let target: Awaited<ReturnType<typeof collector>>;
  beforeEach(async () => {
    folder = await temporaryFolder();
    target = await collector();
  });
  afterEach(async () => {
    await target.close();
    await folder.remove();
  });

  it("a request's span is a child of the caller's, with its phases below it; faults of the request fail no span", async () => {
    const modelDirectory = await writeModelFolder(join(folder.path, "model"), columnModel(), columnSignature);
    const tracing = await openTracing("espalier-serving", {
      OTEL_EXPORTER_OTLP_ENDPOINT: `${target.url}/`,
      OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20abc,x-team=a%",
      OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test,service.name=other",
      OTEL_SERVICE_NAME: "flights",
    });
    const running = await runServer({ modelDirectory, tracing });
    const ask = (row: unknown[], headers: Record<string, string>) =>
      running.post("/invocations", { dataframe_split: { columns: ["amount", "grade", "city"], data: [row] } }, headers);
    const traceparent = `00-${traceId}-${spanId}-01`;
    await ask([1, 2, "north"], { traceparent, tracestate: "vendor=1", "x-espalier-prediction-id": "p" });
    await ask([1, 9, "north"], {});
    await ask([1, 2, "north"], { traceparent: `00-${traceId}-${spanId}-00` });
    await running.server.close();
    await tracing?.close();

    const [request] = target.requests;
    expect(request?.path).toBe("/v1/traces");
    expect(request?.headers).toMatchObject({
      authorization: "Bearer abc",
      "x-team": "a%",
      "content-type": "application/json",
    });
    expect(request?.resource).toMatchObject({ "service.name": "flights", "deployment.environment.name": "test" });
    const spans = target.spans();
    const [first, second, ...others] = spans.filter(({ name }) => name === "predict");
    expect(others).toEqual([]);
    expect(first).toMatchObject({ traceId, parentSpanId: spanId, traceState: "vendor=1", kind: 2, status: {} });
    const attributes = Object.fromEntries(
      (first?.attributes ?? []).map(({ key, value }) => [key, Object.values(value)[0]]),
    );
    expect(attributes).toEqual({
      "espalier.protocol": "mlflow",
      "espalier.model": "tiny",
      "espalier.version": "3",
      "espalier.prediction_id": "p",
      "espalier.rows": "1",
      "http.response.status_code": "200",
    });
    const phases = spans.filter(({ parentSpanId }) => parentSpanId === first?.spanId);
    expect(phases.map(({ name, kind }) => [name, kind])).toEqual([
      ["decode", 1],
      ["queue", 1],
      ["infer", 1],
      ["encode", 1],
    ]);
    for (const phase of phases) {
      expect(phase.traceId).toBe(traceId);
      expect(BigInt(phase.startTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(first?.startTimeUnixNano ?? 0));
      expect(BigInt(phase.endTimeUnixNano)).toBeLessThanOrEqual(BigInt(first?.endTimeUnixNano ?? 0));
    }
    expect(second).not.toHaveProperty("parentSpanId");
    expect(second?.traceId).not.toBe(traceId);
    expect([second?.status, second?.attributes.find(({ key }) => key === "error.type")?.value]).toEqual([
      {},
      { stringValue: "INVALID_INPUT" },
    ]);
  });

  it.each<[string, Record<string, string>]>([
    ["no collector", {}],
    ["an empty address", { OTEL_EXPORTER_OTLP_ENDPOINT: "" }],
    ["the SDK switched off", { OTEL_EXPORTER_OTLP_ENDPOINT: "http://x", OTEL_SDK_DISABLED: "true" }],
    ["no exporter", { OTEL_EXPORTER_OTLP_ENDPOINT: "http://x", OTEL_TRACES_EXPORTER: "none" }],
    ["gRPC", { OTEL_EXPORTER_OTLP_ENDPOINT: "http://x", OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }],
  ])("is off: %s", async (_name, environment) => {
    expect(await openTracing("espalier-serving", environment)).toBeUndefined();
  });

  it.each<[string, string | undefined, boolean, boolean, boolean]>([
    ["parentbased_always_on", undefined, true, true, false],
    ["parentbased_always_off", undefined, false, true, false],
    ["always_on", undefined, true, true, true],
    ["always_off", undefined, false, false, false],
    ["traceidratio", "0", false, false, false],
    ["parentbased_traceidratio", "1", true, true, false],
  ])("samples as %s says (%s)", async (name, argument, root, sampledChild, otherChild) => {
    const tracing = await openTracing("s", {
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: target.url,
      OTEL_TRACES_SAMPLER: name,
      ...(argument === undefined ? {} : { OTEL_TRACES_SAMPLER_ARG: argument }),
    });
    const begins = (traceparent?: string) => tracing?.begin("x", { traceparent }, 0) !== undefined;
    expect([begins(), begins(`00-${traceId}-${spanId}-01`), begins(`00-${traceId}-${spanId}-00`)]).toEqual([
      root,
      sampledChild,
      otherChild,
    ]);
  });

  it("passes on its own span as the parent of what it asks", async () => {
    const exporter = createOtlpExporter(target.url, "router");
    const trace = createTracing(exporter).begin(
      "forward",
      { traceparent: `00-${traceId}-${spanId}-01`, tracestate: "a=1" },
      0,
      "client",
    );
    trace?.end({ "espalier.rows": 1.5 }, "it broke");
    await exporter.close();
    const [span] = target.spans();
    expect(trace?.headers).toEqual({ traceparent: `00-${traceId}-${span?.spanId}-01`, tracestate: "a=1" });
    expect(span).toMatchObject({ kind: 3, status: { code: 2, message: "it broke" } });
    expect(exporter.counts()).toEqual({ sent: 1, dropped: 0 });
  });

  it("a busy collector is asked again; one that is away or stalls costs spans, counted, and no time", async () => {
    let status = 503;
    const busy = await collector(() => {
      const answer = status;
      status = 200;
      return answer;
    });
    const span = {
      traceId,
      spanId,
      name: "x",
      kind: "server",
      startNanoseconds: "1",
      endNanoseconds: "2",
      attributes: {},
    } as const;
    const patient = createOtlpExporter(busy.url, "s");
    patient.add(span);
    await patient.close();
    expect([busy.requests.length, patient.counts()]).toEqual([2, { sent: 1, dropped: 0 }]);
    await busy.close();

    const away = createOtlpExporter(busy.url, "s", {
      OTEL_BSP_MAX_QUEUE_SIZE: "5",
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "3",
    });
    for (let index = 0; index < 20; index++) away.add(span);
    expect(away.counts().dropped).toBeGreaterThanOrEqual(12);
    await away.close();
    while (away.counts().dropped < 20) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(away.counts()).toEqual({ sent: 0, dropped: 20 });
  });
});
