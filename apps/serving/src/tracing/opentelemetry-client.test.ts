import { trace } from "@opentelemetry/api";
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { afterEach, expect, it } from "vitest";
import { openApiTracing } from "./opentelemetry-client.ts";
import { openTracing } from "./tracing.ts";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const spanId = "00f067aa0ba902b7";

afterEach(() => trace.disable());

it("an SDK of the process's own gets the spans; without one nothing is traced by it", async () => {
  expect(await openApiTracing()).toBeUndefined();
  const exporter = new InMemorySpanExporter();
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
  const tracing = await openTracing("espalier-serving", { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9" });
  const startedAt = performance.now();
  const request = tracing?.begin(
    "predict",
    { traceparent: `00-${traceId}-${spanId}-01`, tracestate: "a=1" },
    startedAt,
  );
  request?.child("infer", startedAt, startedAt + 2);
  request?.end({ "espalier.rows": 3, "espalier.model": undefined }, "it broke");
  await tracing?.close();

  const [infer, predict] = exporter.getFinishedSpans();
  expect(predict).toMatchObject({
    name: "predict",
    kind: 1,
    parentSpanContext: { traceId, spanId, isRemote: true },
    attributes: { "espalier.rows": 3 },
    status: { code: 2, message: "it broke" },
  });
  expect(predict?.attributes).not.toHaveProperty("espalier.model");
  const own = predict?.spanContext();
  expect([own?.traceId, infer?.spanContext().traceId, infer?.parentSpanContext?.spanId]).toEqual([
    traceId,
    traceId,
    own?.spanId,
  ]);
  expect(request?.headers).toEqual({ traceparent: `00-${traceId}-${own?.spanId}-01`, tracestate: "a=1" });
  const [seconds = 0, nanoseconds = 0] = infer?.duration ?? [];
  expect(seconds * 1e9 + nanoseconds).toBeCloseTo(2e6, -4);
  const begun = (predict?.startTime[0] ?? 0) * 1000 + (predict?.startTime[1] ?? 0) / 1e6;
  expect(begun).toBeCloseTo(performance.timeOrigin + startedAt, 1);

  // Its sampler decides.
  expect(tracing?.begin("predict", { traceparent: `00-${traceId}-${spanId}-00` }, startedAt)).toBeUndefined();
  expect(await openTracing("espalier-serving", { OTEL_SDK_DISABLED: "true" })).toBeUndefined();
});
