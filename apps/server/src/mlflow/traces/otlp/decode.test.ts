import { gunzipSync } from "node:zlib";
import { isEspalierError } from "@espalier/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mlflowSpans, openTelemetrySpansGzip } from "../../testing/recorded-traces.ts";
import { decodeJson } from "./decode-json.ts";
import { decodeProtobuf } from "./decode-protobuf.ts";
import { spanContent } from "./span-content.ts";
import type { ResourceSpans } from "./spans.ts";

const recorded = gunzipSync(openTelemetrySpansGzip);
const json = (value: unknown): ResourceSpans[] => decodeJson(Buffer.from(JSON.stringify(value)));
const jsonOfSpan = (span: object): ResourceSpans[] =>
  json({
    resourceSpans: [
      { scopeSpans: [{ spans: [{ traceId: "0a".repeat(16), spanId: "0b".repeat(8), name: "a", ...span }] }] },
    ],
  });

describe("protobuf", () => {
  test("every kind of value that OpenTelemetry's own exporter writes is read", () => {
    const [first] = decodeProtobuf(recorded);
    const root = first?.spans.find(({ parentSpanId }) => parentSpanId === "");
    const child = first?.spans.find(({ parentSpanId }) => parentSpanId !== "");
    const values = Object.fromEntries((root?.attributes ?? []).map(({ key, value }) => [key, value]));
    expect(values).toMatchObject({
      "session.id": { type: "string", value: "s-1" },
      "http.status": { type: "int", value: 500n },
      ratio: { type: "double", value: 0.25 },
      whole: { type: "double", value: 2 },
      big: { type: "int", value: 2n ** 62n },
      neg: { type: "int", value: -7n },
      ok: { type: "bool", value: true },
      list: {
        type: "array",
        value: [
          { type: "string", value: "a" },
          { type: "string", value: "b" },
        ],
      },
      "mlflow.spanInputs": { type: "string", value: '{"messages": [{"role": "user", "content": "héllo"}]}' },
    });
    expect(root).toMatchObject({
      traceId: "0af7651916cd43dd8448eb211c80319c",
      name: "GET /cart",
      kind: 2,
      startNanoseconds: 1_700_000_000_000_000_000n,
      endNanoseconds: 1_700_000_000_007_500_000n,
      status: { code: 2, message: "boom" },
      events: [{ name: "exception", timeNanoseconds: 1_700_000_000_006_000_000n }],
    });
    expect(child).toMatchObject({
      parentSpanId: root?.spanId,
      kind: 3,
      status: { code: 1, message: "" },
      events: [{ name: "row", attributes: [{ key: "n", value: { type: "int", value: 1n } }] }],
      links: [{ traceId: `${"0".repeat(30)}11`, spanId: `${"0".repeat(14)}22` }],
    });
    expect(first?.resource).toContainEqual({ key: "service.name", value: { type: "string", value: "checkout" } });
  });

  test("what MLflow's client writes is read", () => {
    const spans = decodeProtobuf(mlflowSpans).flatMap((one) => one.spans);
    expect(spans.map(({ name }) => name)).toEqual(["inner", "mid", "outer"]);
    const mid = spans.find(({ name }) => name === "mid");
    expect(mid?.attributes).toContainEqual({
      key: "mlflow.spanOutputs",
      value: {
        type: "kvlist",
        value: [
          {
            key: "y",
            value: {
              type: "array",
              value: [{ type: "int", value: 1n }, { type: "double", value: 2.5 }, { type: "bool", value: true }, null],
            },
          },
        ],
      },
    });
  });

  test("cut anywhere, a message is refused or is a whole shorter one", () => {
    for (let length = 0; length < recorded.length; length += 1) {
      expectAnswerOrRefusal(() => decodeProtobuf(recorded.subarray(0, length)));
    }
    expect(() => decodeProtobuf(recorded.subarray(0, recorded.length - 1))).toThrow(/ends in the middle/);
  });

  test("whatever bytes come, they are read or refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) =>
        expectAnswerOrRefusal(() => decodeProtobuf(Buffer.from(bytes))),
      ),
    );
    fc.assert(
      fc.property(fc.nat(recorded.length - 1), fc.nat(255), (at, byte) => {
        const changed = Buffer.from(recorded);
        changed[at] = byte;
        expectAnswerOrRefusal(() => decodeProtobuf(changed));
      }),
    );
  });

  test("a value within a value without end is refused", () => {
    let value = Buffer.from([0x10, 0x01]);
    for (let depth = 0; depth < 200; depth += 1) {
      const values = Buffer.concat([Buffer.from([0x0a]), varint(value.length), value]);
      value = Buffer.concat([Buffer.from([0x2a]), varint(values.length), values]);
    }
    const field = (number: number, bytes: Buffer): Buffer =>
      Buffer.concat([Buffer.from([number * 8 + 2]), varint(bytes.length), bytes]);
    const message = field(1, field(1, field(1, Buffer.concat([field(1, Buffer.from("k")), field(2, value)]))));
    expect(() => decodeProtobuf(message)).toThrow(/levels deep/);
  });
});

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}

function expectAnswerOrRefusal(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    expect(isEspalierError(error) && error.details["mlflow"]).toBe("BAD_REQUEST");
  }
}

describe("JSON", () => {
  test("integers come as texts or numbers, enums as numbers or names, ids in any case", () => {
    const [read] = jsonOfSpan({
      traceId: "0A".repeat(16),
      kind: "SPAN_KIND_CLIENT",
      startTimeUnixNano: "1795645883819130555",
      endTimeUnixNano: 5,
      parentSpanId: "",
      attributes: [
        { key: "i", value: { intValue: "-12" } },
        { key: "b", value: { bytesValue: "AAE=" } },
        { key: "d", value: { doubleValue: "NaN" } },
        { key: "l", value: { arrayValue: { values: [{ stringValue: "x" }, {}] } } },
        { key: "m", value: { kvlistValue: { values: [{ key: "k", value: { boolValue: true } }] } } },
      ],
      status: { code: "STATUS_CODE_ERROR", message: "bad" },
    });
    expect(read?.spans[0]).toMatchObject({
      traceId: "0a".repeat(16),
      kind: 3,
      startNanoseconds: 1795645883819130555n,
      endNanoseconds: 5n,
      status: { code: 2, message: "bad" },
      attributes: [
        { key: "i", value: { type: "int", value: -12n } },
        { key: "b", value: { type: "bytes", value: Buffer.from([0, 1]) } },
        { key: "d", value: { type: "double", value: Number.NaN } },
        { key: "l", value: { type: "array", value: [{ type: "string", value: "x" }, null] } },
        { key: "m", value: { type: "kvlist", value: [{ key: "k", value: { type: "bool", value: true } }] } },
      ],
    });
  });

  test.each([
    [{ traceId: "abc" }, /traceId is not 32/],
    [{ spanId: "" }, /spanId is not 16/],
    [{ attributes: 5 }, /attributes is no list/],
    [{ startTimeUnixNano: "x" }, /startTimeUnixNano is no integer/],
    [{ startTimeUnixNano: -1 }, /negative/],
    [{ attributes: [{ key: "a", value: { doubleValue: "x" } }] }, /doubleValue is no number/],
  ])("%j is refused", (span, message) => {
    expect(() => jsonOfSpan(span)).toThrow(message);
  });

  test("whatever JSON comes, it is read or refused", () => {
    fc.assert(fc.property(fc.json(), (text) => expectAnswerOrRefusal(() => decodeJson(Buffer.from(text)))));
    fc.assert(fc.property(fc.object(), (span) => expectAnswerOrRefusal(() => jsonOfSpan(span))));
    expect(() => decodeJson(Buffer.from("{"))).toThrow(/not JSON/);
  });
});

test("a span is answered in protobuf's JSON, its integers as numbers without loss", () => {
  const root = decodeProtobuf(recorded)[0]?.spans.find(({ parentSpanId }) => parentSpanId === "");
  if (root === undefined) throw new Error("no root");
  const content = spanContent(root, "tr-1");
  expect(content).toContain('"start_time_unix_nano":1700000000000000000,');
  expect(content).toContain('{"key":"big","value":{"int_value":4611686018427387904}}');
  const read = JSON.parse(content);
  expect(read).toMatchObject({
    trace_id: "CvdlGRbNQ92ESOshHIAxnA==",
    name: "GET /cart",
    kind: "SPAN_KIND_SERVER",
    status: { message: "boom", code: "STATUS_CODE_ERROR" },
  });
  expect(read.attributes.at(-1)).toEqual({ key: "mlflow.traceRequestId", value: { string_value: "tr-1" } });
  const mid = decodeProtobuf(mlflowSpans)[0]?.spans.find(({ name }) => name === "mid");
  if (mid === undefined) throw new Error("no mid");
  expect(JSON.parse(spanContent(mid, "tr-2")).attributes).toContainEqual({
    key: "mlflow.spanOutputs",
    value: {
      kvlist_value: {
        values: [
          {
            key: "y",
            value: {
              array_value: { values: [{ int_value: 1 }, { double_value: 2.5 }, { bool_value: true }, {}] },
            },
          },
        ],
      },
    },
  });
});

test("a NUL, which PostgreSQL can not store, becomes a replacement character", () => {
  const [read] = jsonOfSpan({ name: "a\0b", attributes: [{ key: "k", value: { stringValue: "\0" } }] });
  expect(read?.spans[0]).toMatchObject({ name: "a\uFFFDb", attributes: [{ value: { value: "\uFFFD" } }] });
});
