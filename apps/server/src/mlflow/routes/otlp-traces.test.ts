import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { startPostgres } from "../../../../../scripts/servers/postgres.ts";
import { describeOnBoth } from "../../db/testing/databases.ts";
import { startRawFace } from "../testing/raw-face.ts";
import {
  mlflowSpans,
  mlflowSpansTraceId,
  openTelemetrySpansGzip,
  openTelemetryTraceId,
  startTraceBody,
} from "../testing/recorded-traces.ts";
import { sendSpans, traces3 } from "../testing/trace-requests.ts";

describeOnBoth("spans over OTLP", await startPostgres(), (database) => {
  test.each(["spans first", "trace first"])(
    "of MLflow's client become one trace with what it says of it: %s",
    async (order) => {
      const face = await startRawFace(database);
      const steps = [
        async () => {
          const sent = await sendSpans(face, mlflowSpans);
          expect(sent).toMatchObject({ status: 200, text: "", type: "application/x-protobuf" });
        },
        async () => expect((await face.call("POST", traces3, startTraceBody)).status).toBe(200),
      ];
      for (const step of order === "spans first" ? steps : steps.reverse()) await step();
      const got = (await face.call("GET", `${traces3}/get?trace_id=${mlflowSpansTraceId}`)).body.trace;
      const given = startTraceBody.trace.trace_info;
      expect(got.trace_info).toMatchObject({
        trace_id: mlflowSpansTraceId,
        request_time: given.request_time,
        execution_duration: given.execution_duration,
        state: "OK",
        request_preview: '{"x": 21}',
        response_preview: "42",
        trace_metadata: { ...given.trace_metadata, "mlflow.trace.infoFinalized": "true" },
        tags: {
          ...given.tags,
          "mlflow.artifactLocation": `mlflow-artifacts:/0/traces/${mlflowSpansTraceId}/artifacts`,
          "mlflow.trace.spansLocation": "TRACKING_STORE",
        },
      });
      expect(got.spans.map((span: { name: string }) => span.name)).toEqual(["outer", "mid", "inner"]);
    },
  );

  test("of another exporter make a trace of their own, told from its root", async () => {
    const face = await startRawFace(database);
    expect((await sendSpans(face, openTelemetrySpansGzip, { "content-encoding": "gzip" })).status).toBe(200);
    const { trace } = (await face.call("GET", `${traces3}/get?trace_id=${openTelemetryTraceId}`)).body;
    expect(trace.trace_info).toMatchObject({
      request_time: "2023-11-14T22:13:20Z",
      execution_duration: "0.007s",
      state: "ERROR",
      request_preview: expect.stringContaining("héllo"),
      trace_metadata: { "mlflow.trace.session": "s-1", "mlflow.trace.user": "ana" },
      tags: { "service.name": "checkout", "service.version": "1.2", n: "3", team: "red" },
    });
    expect(trace.trace_info.tags).not.toHaveProperty("telemetry.sdk.name");
    expect(trace.spans).toHaveLength(2);
  });

  test("that come again overwrite themselves, and later ones extend the trace", async () => {
    const face = await startRawFace(database);
    const span = (id: string, start: number, end: number, more = {}) => ({
      traceId: "1".repeat(32),
      spanId: id.repeat(16),
      name: `span ${id}`,
      startTimeUnixNano: `${start}000000`,
      endTimeUnixNano: end === 0 ? "0" : `${end}000000`,
      ...more,
    });
    const send = async (...spans: object[]) => {
      const body = JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans }] }] });
      const sent = await sendSpans(face, body, { "content-type": "application/json; charset=utf-8" });
      expect(sent).toMatchObject({ status: 200, text: "{}", type: expect.stringContaining("application/json") });
    };
    const info = async () =>
      (await face.call("GET", `${traces3}/tr-${"1".repeat(32)}`)).body.trace.trace_info as Record<string, unknown>;
    await send(span("b", 1000, 0, { parentSpanId: "a".repeat(16) }));
    expect(await info()).toMatchObject({ state: "IN_PROGRESS", request_time: "1970-01-01T00:00:01Z" });
    expect(await info()).not.toHaveProperty("execution_duration");
    await send(span("b", 1000, 1500, { parentSpanId: "a".repeat(16) }), span("b", 1000, 1600, { name: "last counts" }));
    await send(span("a", 900, 2000));
    expect(await info()).toMatchObject({
      state: "OK",
      request_time: "1970-01-01T00:00:00.900Z",
      execution_duration: "1.100s",
    });
    const { spans } = (await face.call("GET", `${traces3}/get?trace_id=tr-${"1".repeat(32)}`)).body.trace;
    expect(spans.map((one: { name: string }) => one.name).sort()).toEqual(["last counts", "span a"]);
  });

  test("belong to the run that the header names", async () => {
    const face = await startRawFace(database);
    const made = await face.call("POST", "/api/2.0/mlflow/runs/create", { experiment_id: "0" });
    const runId = made.body.run.info.run_id;
    await sendSpans(face, mlflowSpans, { "x-mlflow-run-id": runId });
    const found = await face.call("POST", `${traces3}/search`, {
      locations: [{ mlflow_experiment: { experiment_id: "0" } }],
      filter: `run_id = '${runId}'`,
    });
    expect(found.body.traces[0].trace_id).toBe(mlflowSpansTraceId);
    expect((await sendSpans(face, mlflowSpans, { "x-mlflow-run-id": "nope" })).status).toBe(404);
  });

  test.each([
    ["no experiment", mlflowSpans, { "x-mlflow-experiment-id": "" }, 400, /x-mlflow-experiment-id/],
    [
      "an experiment that is not there",
      mlflowSpans,
      { "x-mlflow-experiment-id": "99" },
      404,
      /No Experiment with id=99 exists/,
    ],
    ["garbage", Buffer.from("garbage"), {}, 400, /Invalid OpenTelemetry format/],
    ["nothing", Buffer.alloc(0), {}, 400, /no spans found/],
    ["an empty object", "{}", { "content-type": "application/json" }, 400, /no spans found/],
    ["another type", "x", { "content-type": "text/plain" }, 400, /Invalid Content-Type: text\/plain/],
    ["an unknown packing", mlflowSpans, { "content-encoding": "zip" }, 400, /Unsupported Content-Encoding/],
    ["a broken packing", mlflowSpans, { "content-encoding": "gzip" }, 400, /could not be unpacked/],
    ["a wrong token", mlflowSpans, { authorization: "Bearer guess" }, 401, /credentials/],
    ["a foreign host's page", mlflowSpans, { origin: "http://evil.example" }, 403, /another origin/],
  ])("%s is refused and nothing is written", async (_what, body, headers, status, message) => {
    const face = await startRawFace(database);
    const sent = await sendSpans(face, body, headers);
    expect([sent.status, sent.text]).toEqual([status, expect.stringMatching(message)]);
    expect((await face.call("GET", `${traces3}/${mlflowSpansTraceId}`)).status).toBe(404);
  });

  test("a small body that unpacks to a huge one is refused", async () => {
    const face = await startRawFace(database);
    const bomb = gzipSync(Buffer.alloc(80 * 1024 * 1024));
    expect((await sendSpans(face, bomb, { "content-encoding": "gzip" })).status).toBe(413);
  });
});
