import fc from "fast-check";
import { expect, test } from "vitest";
import { startPostgres } from "../../../../../scripts/servers/postgres.ts";
import { describeOnBoth } from "../../db/testing/databases.ts";
import { startRawFace } from "../testing/raw-face.ts";
import { mlflowSpans, mlflowSpansTraceId } from "../testing/recorded-traces.ts";
import { sendSpans } from "../testing/trace-requests.ts";

const paths: readonly (readonly [method: string, path: string])[] = [
  ["POST", "/api/3.0/mlflow/traces"],
  ["POST", "/api/3.0/mlflow/traces/search"],
  ["POST", "/api/3.0/mlflow/traces/batchGetInfos"],
  ["POST", "/api/3.0/mlflow/traces/calculate-filter-correlation"],
  ["PATCH", "/api/3.0/mlflow/traces/:trace/tags"],
  ["DELETE", "/api/3.0/mlflow/traces/:trace/tags"],
  ["POST", "/api/3.0/mlflow/traces/:trace/assessments"],
  ["PATCH", "/api/3.0/mlflow/traces/:trace/assessments/:assessment"],
  ["DELETE", "/api/3.0/mlflow/traces/:trace/assessments/none"],
  ["POST", "/api/2.0/mlflow/traces"],
  ["PATCH", "/api/2.0/mlflow/traces/:trace"],
  ["POST", "/api/2.0/mlflow/traces/link-to-run"],
  ["POST", "/api/2.0/mlflow/traces/link-prompts"],
  ["POST", "/api/2.0/mlflow/logged-models"],
  ["POST", "/api/2.0/mlflow/logged-models/search"],
  ["PATCH", "/api/2.0/mlflow/logged-models/:model"],
  ["POST", "/api/2.0/mlflow/logged-models/:model/params"],
  ["PATCH", "/api/2.0/mlflow/logged-models/:model/tags"],
];

const members =
  "trace trace_info trace_id trace_location mlflow_experiment experiment_id experiment_ids request_time execution_duration state tags trace_metadata assessments assessment assessment_id assessment_name feedback expectation issue value error serialized_value source source_type source_id metadata rationale overrides span_id update_mask locations filter filter_string1 filter_string2 base_filter order_by max_results page_token key timestamp_ms status request_metadata request_ids trace_ids run_id prompt_versions name version params model_id model_type source_run_id datasets dataset_name dataset_digest field_name ascending create_time request_preview client_request_id".split(
    " ",
  );
const filters = [
  "status = 'OK'",
  "span.attributes.k LIKE '%'",
  "name RLIKE '^o'",
  "feedback.a > 1",
  "timestamp_ms > 99999999999999999999",
  "execution_time != -1",
  "metrics.a > 1",
  "params.a = 1",
  "creation_time > 1.5",
  "tags.a IS NULL",
  "request_id IN ('a')",
];

describeOnBoth("anything at all sent to the routes of traces and logged models", await startPostgres(), (database) => {
  test("is answered or refused, never failed", async () => {
    const face = await startRawFace(database);
    await sendSpans(face, mlflowSpans);
    const assessments = `/api/3.0/mlflow/traces/${mlflowSpansTraceId}/assessments`;
    const assessed = await face.call("POST", assessments, {
      assessment: { assessment_name: "a", feedback: { value: 1 } },
    });
    const made = await face.call("POST", "/api/2.0/mlflow/logged-models", { experiment_id: "0" });
    const ids: Readonly<Record<string, string>> = {
      ":trace": mlflowSpansTraceId,
      ":assessment": assessed.body.assessment.assessment_id,
      ":model": made.body.model.info.model_id,
    };
    const scalar = fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom("0", mlflowSpansTraceId, "OK", "HUMAN", "2026-11-25T22:31:23Z", "1.5s") },
      { weight: 3, arbitrary: fc.constantFrom(...filters) },
      fc.constantFrom(
        "\0",
        "\ud800",
        "../..",
        "NaN",
        "9223372036854775808",
        "",
        "timestamp_ms DESC",
        "feedback,metadata",
      ),
      fc.constantFrom(0, -1, 3, 1e308, 2 ** 53, 0.5, true, null),
      fc.string({ unit: "binary", maxLength: 40 }),
      fc.jsonValue({ maxDepth: 2 }),
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4, withCrossShrink: true },
        scalar,
        fc.dictionary(fc.constantFrom(...members), tie("tree"), { maxKeys: 8 }),
        fc.array(tie("tree"), { maxLength: 3 }),
      ),
    }));
    const location = fc.constant([{ mlflow_experiment: { experiment_id: "0" } }]);
    // With what the routes ask for, so that more than the first check is met.
    const search = fc.record(
      {
        locations: location,
        experiment_ids: fc.constant(["0"]),
        filter: fc.oneof(fc.constantFrom(...filters), scalar),
        filter_string1: fc.constantFrom(...filters),
        filter_string2: fc.oneof(fc.constantFrom(...filters), scalar),
        order_by: fc.array(fc.oneof(fc.constantFrom("timestamp_ms DESC", "name", "tags.a ASC"), scalar), {
          maxLength: 2,
        }),
        page_token: fc.oneof(scalar, fc.constant(Buffer.from('{"requestTime":1,"id":"a"}').toString("base64"))),
      },
      { requiredKeys: ["locations", "experiment_ids", "filter_string1", "filter_string2"] },
    );
    const trace = fc.record({
      trace: fc.record({
        trace_info: fc.record(
          {
            trace_id: fc.constantFrom("tr-1", mlflowSpansTraceId),
            trace_location: fc.constant({ mlflow_experiment: { experiment_id: "0" } }),
            request_time: scalar,
            execution_duration: scalar,
            state: scalar,
            tags: tree,
            trace_metadata: tree,
            assessments: fc.array(
              fc.oneof(fc.record({ feedback: fc.record({ value: scalar }), assessment_name: fc.constant("a") }), tree),
              { maxLength: 2 },
            ),
          },
          { requiredKeys: ["trace_id", "trace_location"] },
        ),
      }),
      assessment: fc.record({
        feedback: fc.record({ value: tree, error: tree }),
        metadata: tree,
        create_time: scalar,
      }),
      update_mask: fc.constantFrom("feedback", "feedback,metadata,rationale", "x"),
      key: scalar,
      value: scalar,
    });
    const anything = fc.oneof(fc.dictionary(fc.constantFrom(...members), tree, { maxKeys: 10 }), fc.jsonValue());
    const request = fc.constantFrom(...paths).chain(([method, path]) => {
      const fitting = /search|correlation|batch/.test(path) ? search : trace;
      const body = fc.oneof({ weight: 3, arbitrary: fitting }, { weight: 1, arbitrary: anything });
      return body.map((sent) => ({ method, path, sent }));
    });
    await fc.assert(
      fc.asyncProperty(request, async ({ method, path, sent }) => {
        const url = path.replaceAll(/:\w+/g, (name) => ids[name] ?? name);
        const answer = await face.call(method, url, sent);
        expect([answer.status < 500, answer.status === 200 ? {} : answer.body]).toEqual([true, expect.anything()]);
      }),
      { numRuns: 800 },
    );
    expect(
      (await face.call("GET", `/api/3.0/mlflow/traces/get?trace_id=${mlflowSpansTraceId}&allow_partial=true`)).status,
    ).toBe(200);
  }, 180_000);

  test("spans of any kind are written and read back, or refused", async () => {
    const face = await startRawFace(database);
    const text = fc.oneof(
      fc.string({ unit: "binary", maxLength: 20 }),
      fc.constantFrom("\0", "\ud800", "mlflow.spanType"),
    );
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        fc.record({ stringValue: text }),
        fc.record({ intValue: fc.bigInt(-(2n ** 64n), 2n ** 64n).map(String) }),
        fc.record({ doubleValue: fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constant("NaN")) }),
        fc.record({ boolValue: fc.boolean() }),
        fc.record({ arrayValue: fc.record({ values: fc.array(tie("value"), { maxLength: 3 }) }) }),
        fc.record({
          kvlistValue: fc.record({ values: fc.array(fc.record({ key: text, value: tie("value") }), { maxLength: 3 }) }),
        }),
      ),
    }));
    const attributes = fc.array(fc.record({ key: text, value }), { maxLength: 4 });
    const time = fc
      .oneof({ weight: 20, arbitrary: fc.bigInt(0n, 2n ** 63n - 1n) }, fc.bigInt(2n ** 63n, 2n ** 64n))
      .map(String);
    const span = fc.record({
      traceId: fc.constant("5".repeat(32)),
      spanId: fc.constantFrom("1".repeat(16), "2".repeat(16)),
      parentSpanId: fc.constantFrom("", "1".repeat(16)),
      name: text,
      startTimeUnixNano: time,
      endTimeUnixNano: time,
      attributes,
      events: fc.array(fc.record({ name: text, timeUnixNano: fc.constant("1"), attributes }), { maxLength: 2 }),
    });
    const request = fc.record({
      resourceSpans: fc.tuple(
        fc.record({
          resource: fc.record({ attributes }),
          scopeSpans: fc.tuple(fc.record({ spans: fc.array(span, { minLength: 1, maxLength: 4 }) })),
        }),
      ),
    });
    await fc.assert(
      fc.asyncProperty(request, async (sent) => {
        const { status } = await sendSpans(face, JSON.stringify(sent), { "content-type": "application/json" });
        expect([200, 400]).toContain(status);
        if (status !== 200) return;
        const got = await face.call(
          "GET",
          `/api/3.0/mlflow/traces/get?trace_id=tr-${"5".repeat(32)}&allow_partial=true`,
        );
        expect(got.body.trace.spans.length).toBeGreaterThan(0);
        const search = {
          locations: [{ mlflow_experiment: { experiment_id: "0" } }],
          filter: "span.attributes.a LIKE '%'",
        };
        expect((await face.call("POST", "/api/3.0/mlflow/traces/search", search)).status).toBe(200);
      }),
      { numRuns: 150 },
    );
  }, 180_000);
});
