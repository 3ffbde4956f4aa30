import { expect, test } from "vitest";
import { startPostgres } from "../../../../../scripts/servers/postgres.ts";
import { describeOnBoth } from "../../db/testing/databases.ts";
import { startRawFace } from "../testing/raw-face.ts";
import { mlflowSpans, mlflowSpansTraceId, startTraceBody } from "../testing/recorded-traces.ts";
import { findTraces, sendSpans, startTrace, traces2, traces3 } from "../testing/trace-requests.ts";

describeOnBoth("traces", await startPostgres(), (database) => {
  test("are refused with MLflow's words", async () => {
    const { call } = await startRawFace(database);
    const location = (experiment_id: string) => ({ type: "MLFLOW_EXPERIMENT", mlflow_experiment: { experiment_id } });
    const info = { trace_id: "tr-1", trace_location: location("0"), state: "OK" };
    const start = (changes: object) => call("POST", traces3, { trace: { trace_info: { ...info, ...changes } } });
    expect((await call("POST", traces3, {})).body.message).toMatch(/required parameter 'trace'/);
    expect((await start({ trace_location: location("99") })).body.message).toBe("No Experiment with id=99 exists");
    expect((await start({ trace_id: "../../x" })).body.message).toMatch(/^Invalid trace ID/);
    expect((await start({ tags: { a: 1 } })).body.message).toMatch(/is no text/);
    expect((await start({ tags: { ["k".repeat(251)]: "v" } })).status).toBe(400);
    expect((await call("GET", `${traces3}/tr-1`)).body.message).toBe("Trace with ID 'tr-1' not found.");
    expect((await call("GET", `${traces3}/get?trace_id=tr-1`)).body.message).toBe("Trace with ID tr-1 is not found.");
    expect(await call("GET", `${traces3}/batchGet?trace_ids=tr-1`)).toEqual({ status: 200, body: {} });
    expect((await call("GET", `${traces3}/batchGet`)).body.message).toMatch(/required parameter 'trace_ids'/);
    expect((await call("POST", `${traces3}/metrics`, {})).body.error_code).toBe("ENDPOINT_NOT_FOUND");
  });

  test("are got in batches, those that are not whole left out", async () => {
    const face = await startRawFace(database);
    const { call } = face;
    await sendSpans(face, mlflowSpans);
    await startTrace(face, "tr-alone");
    const ids = `trace_ids=tr-alone&trace_ids=${mlflowSpansTraceId}&trace_ids=nope`;
    const whole = (await call("GET", `${traces3}/batchGet?${ids}`)).body.traces;
    expect(whole.map((one: { trace_info: { trace_id: string } }) => one.trace_info.trace_id)).toEqual([
      mlflowSpansTraceId,
    ]);
    const infos = await call("POST", `${traces3}/batchGetInfos`, {
      trace_ids: ["tr-alone", mlflowSpansTraceId, "nope"],
    });
    expect(infos.body.trace_infos.map((one: { trace_id: string }) => one.trace_id)).toEqual([
      "tr-alone",
      mlflowSpansTraceId,
    ]);
    const four = {
      trace: {
        trace_info: {
          ...startTraceBody.trace.trace_info,
          trace_metadata: { "mlflow.trace.sizeStats": '{"num_spans": 4}' },
        },
      },
    };
    await call("POST", traces3, four);
    expect((await call("GET", `${traces3}/batchGet?${ids}`)).body).toEqual({});
    const missing = call("GET", `${traces3}/get?trace_id=${mlflowSpansTraceId}`);
    expect(
      (await call("GET", `${traces3}/get?trace_id=${mlflowSpansTraceId}&allow_partial=true`)).body.trace.spans,
    ).toHaveLength(3);
    const span = { traceId: mlflowSpansTraceId.slice(3), spanId: "f".repeat(16), name: "late", startTimeUnixNano: 1 };
    const late = JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] });
    await sendSpans(face, late, { "content-type": "application/json" });
    // The request was sent before its last span was: it waited.
    expect((await missing).body.trace.spans).toHaveLength(4);
  });

  test("have tags that can be changed, but not where their files lie", async () => {
    const face = await startRawFace(database);
    await startTrace(face, "tr-1", { tags: { "mlflow.artifactLocation": "file:///etc" } });
    for (const base of [traces2, traces3]) {
      const path = `${base}/tr-1/tags`;
      expect(await face.call("PATCH", path, { key: "new", value: "v".repeat(9000) })).toEqual({
        status: 200,
        body: {},
      });
      expect(await findTraces(face, `tags.new = '${"v".repeat(8000)}'`)).toEqual(["tr-1"]);
      expect((await face.call("DELETE", path, { key: "new" })).status).toBe(200);
      expect((await face.call("DELETE", path, { key: "new" })).body).toEqual({
        error_code: "RESOURCE_DOES_NOT_EXIST",
        message: "No trace tag with key 'new' for trace with ID 'tr-1'",
      });
      for (const key of ["mlflow.artifactLocation", "mlflow.trace.spansLocation"]) {
        expect((await face.call("PATCH", path, { key, value: "s3://evil" })).body.message).toBe(
          `Tag '${key}' is immutable and cannot be set on a trace.`,
        );
      }
    }
    const { tags } = (await face.call("GET", `${traces3}/tr-1`)).body.trace.trace_info;
    expect(tags).toEqual({ "mlflow.artifactLocation": "mlflow-artifacts:/0/traces/tr-1/artifacts" });
    expect((await face.call("PATCH", `${traces3}/nope/tags`, { key: "a", value: "b" })).status).toBe(404);
  });

  test("are deleted by their ids or up to a time, the oldest first", async () => {
    const face = await startRawFace(database);
    for (const second of [1, 2, 3, 4]) {
      await startTrace(face, `tr-${second}`, { request_time: `1970-01-01T00:00:0${second}Z`, tags: { a: "b" } });
    }
    const remove = async (fields: object) =>
      (await face.call("POST", `${traces2}/delete-traces`, { experiment_id: "0", ...fields })).body;
    expect(await remove({ request_ids: ["tr-4", "nope"] })).toEqual({ traces_deleted: 1 });
    expect(await remove({ max_timestamp_millis: 3000, max_traces: 1 })).toEqual({ traces_deleted: 1 });
    expect(await findTraces(face, "")).toEqual(["tr-3", "tr-2"]);
    expect(await remove({ max_timestamp_millis: 2999 })).toEqual({ traces_deleted: 1 });
    expect((await remove({})).message).toBe("Either `max_timestamp_millis` or `trace_ids` must be specified.");
    expect((await remove({ request_ids: ["a"], max_timestamp_millis: 1 })).message).toMatch(/^Only one of/);
    expect((await remove({ request_ids: ["a"], max_traces: 1 })).message).toMatch(/can't be specified/);
    expect((await remove({ max_traces: 0, max_timestamp_millis: 1 })).message).toMatch(/must be a positive integer/);
    await startTrace(face, "tr-1");
    expect(await findTraces(face, "tags.a = 'b'")).toEqual(["tr-3"]);
  });

  test("take their files with them when they are deleted, and nobody else's", async () => {
    const face = await startRawFace(database);
    const url = (id: string) => `/api/2.0/mlflow-artifacts/artifacts/0/traces/${id}/artifacts/deep/traces.json`;
    for (const id of ["tr-1", "tr-1-b", "tr-2"]) {
      await startTrace(face, id);
      expect((await face.send(url(id), { method: "PUT", body: id })).status).toBe(200);
    }
    await face.call("POST", `${traces3}/delete-traces`, { experiment_id: "0", request_ids: ["tr-1", "tr-2"] });
    const statuses = ["tr-1", "tr-1-b", "tr-2"].map(async (id) => (await face.send(url(id), {})).status);
    expect(await Promise.all(statuses)).toEqual([404, 200, 404]);
  });

  test("are linked to runs and prompts", async () => {
    const face = await startRawFace(database);
    const { call } = face;
    await startTrace(face, "tr-1");
    const run = (await call("POST", "/api/2.0/mlflow/runs/create", { experiment_id: "0" })).body.run.info.run_id;
    await startTrace(face, "tr-2", { trace_metadata: { "mlflow.sourceRun": run } });
    expect(await findTraces(face, `run_id = '${run}'`)).toEqual(["tr-2"]);
    const link = (fields: object) => call("POST", `${traces2}/link-to-run`, { run_id: run, ...fields });
    for (let again = 0; again < 2; again += 1) {
      expect(await link({ trace_ids: ["tr-1", "nope"] })).toEqual({ status: 200, body: {} });
    }
    expect(await findTraces(face, `run_id = '${run}'`)).toEqual(["tr-1", "tr-2"]);
    expect((await link({ trace_ids: ["tr-1"], run_id: "nope" })).status).toBe(404);
    const many = Array.from({ length: 101 }, (_, index) => `tr-${index}`);
    expect((await link({ trace_ids: many })).body.message).toBe(
      "Cannot link more than 100 traces to a run in a single request. Provided 101 traces.",
    );
    const prompts = { trace_id: "tr-1", prompt_versions: [{ name: "pp", version: "1" }] };
    expect((await call("POST", `${traces2}/link-prompts`, prompts)).body).toEqual({});
    expect(await findTraces(face, "prompt = 'pp/1'")).toEqual(["tr-1"]);
    expect((await call("POST", `${traces2}/link-prompts`, { ...prompts, trace_id: "nope" })).status).toBe(404);
    const noNumber = { ...prompts, prompt_versions: [{ name: "pp", version: "x" }] };
    expect((await call("POST", `${traces2}/link-prompts`, noNumber)).status).toBe(400);
  });

  test("two filters are correlated as MLflow does", async () => {
    const face = await startRawFace(database);
    // MLflow 3.17.2 answers these numbers for 3 of 7 traces, 1 of 7, and 1 that meets both.
    for (let index = 0; index < 7; index += 1) {
      const tags = index === 0 ? { "mlflow.traceName": "outer" } : {};
      await startTrace(face, `tr-${index}`, { state: index < 3 ? "OK" : "ERROR", tags });
    }
    const correlate = async (first: string, second: string) => {
      const body = { experiment_ids: ["0"], filter_string1: first, filter_string2: second };
      return (await face.call("POST", `${traces3}/calculate-filter-correlation`, body)).body;
    };
    expect(await correlate("status='OK'", "name='outer'")).toEqual({
      npmi: expect.closeTo(0.43542496594642033, 12),
      npmi_smoothed: expect.closeTo(0.29203034935820893, 12),
      filter1_count: 3,
      filter2_count: 1,
      joint_count: 1,
      total_count: 7,
    });
    expect(await correlate("status='OK'", "status='ERROR'")).toMatchObject({ npmi: -1, joint_count: 0 });
    expect(await correlate("status='OK'", "name='no'")).toMatchObject({ npmi: "NaN", npmi_smoothed: "NaN" });
  });
});

/** Bodies as the client of MLflow 2.22.5 sends them. */
describeOnBoth("traces of MLflow 2", await startPostgres(), (database) => {
  test("are started, ended, read and searched", async () => {
    const { call } = await startRawFace(database);
    const version = { key: "mlflow.trace_schema.version", value: "2" };
    const name = { key: "mlflow.traceName", value: "outer" };
    const started = await call("POST", traces2, {
      experiment_id: "0",
      timestamp_ms: 1_795_645_937_220,
      request_metadata: [version],
      tags: [name],
    });
    const info = started.body.trace_info;
    const location = {
      key: "mlflow.artifactLocation",
      value: `mlflow-artifacts:/0/traces/${info.request_id}/artifacts`,
    };
    expect(info).toEqual({
      request_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      experiment_id: "0",
      timestamp_ms: 1_795_645_937_220,
      execution_time_ms: 0,
      status: "IN_PROGRESS",
      request_metadata: [version],
      tags: [location, name],
    });
    const own = `${traces2}/${info.request_id}`;
    const ended = await call("PATCH", own, {
      request_id: info.request_id,
      timestamp_ms: 1_795_645_937_453,
      status: "OK",
      request_metadata: [version, { key: "mlflow.traceOutputs", value: "42" }],
      tags: [name, { key: "mytag", value: "tv" }],
    });
    expect(ended.body.trace_info).toEqual({
      ...info,
      execution_time_ms: 233,
      status: "OK",
      request_metadata: [{ key: "mlflow.traceOutputs", value: "42" }, version],
      tags: [location, name, { key: "mytag", value: "tv" }],
    });
    expect((await call("GET", `${own}/info?request_id=${info.request_id}`)).body).toEqual(ended.body);
    const query = new URLSearchParams({ experiment_ids: "0", filter: "tags.mytag='tv'", max_results: "100" });
    expect((await call("GET", `${traces2}?${query}`)).body).toEqual({ traces: [ended.body.trace_info] });
    expect((await call("GET", `${traces2}/nope/info`)).body.message).toBe("Trace with ID 'nope' not found.");
    expect((await call("PATCH", `${traces2}/nope`, { timestamp_ms: 5, status: "OK" })).status).toBe(404);
    expect((await call("GET", traces2)).body.message).toMatch(/required parameter 'experiment_ids'/);
  });
});
