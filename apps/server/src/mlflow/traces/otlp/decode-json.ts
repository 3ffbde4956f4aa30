import { parseJson } from "../../int64-json.ts";
import { emptySpan } from "./decode-protobuf.ts";
import {
  type AnyValue,
  type Attribute,
  deepestValue,
  type OtlpEvent,
  type OtlpLink,
  type OtlpSpan,
  type ResourceSpans,
} from "./spans.ts";
import { malformed, withoutNul } from "./wire.ts";

type Members = Readonly<Record<string, unknown>>;

/** OTLP's JSON: camelCase, ids in hex, 64-bit integers as texts or numbers, enums as numbers or names. Throws BAD_REQUEST. */
export function decodeJson(body: Buffer): ResourceSpans[] {
  return list(members(parse(body), "the request"), "resourceSpans").map((one) => ({
    resource: list(members(one["resource"] ?? {}, "resource"), "attributes").map((each) => attribute(each, 0)),
    spans: list(one, "scopeSpans").flatMap((scope) => list(scope, "spans").map(span)),
  }));
}

function parse(body: Buffer): unknown {
  try {
    return parseJson(body.toString("utf8"));
  } catch {
    return malformed("it is not JSON");
  }
}

function span(from: Members): OtlpSpan {
  const status = members(from["status"] ?? {}, "status");
  return {
    ...emptySpan(),
    traceId: identity(from, "traceId", 32),
    spanId: identity(from, "spanId", 16),
    parentSpanId: /^0*$/.test(text(from, "parentSpanId")) ? "" : identity(from, "parentSpanId", 16),
    name: text(from, "name"),
    kind: enumeration(from, "kind", spanKinds),
    startNanoseconds: nanoseconds(from, "startTimeUnixNano"),
    endNanoseconds: nanoseconds(from, "endTimeUnixNano"),
    attributes: list(from, "attributes").map((each) => attribute(each, 0)),
    events: list(from, "events").map(event),
    links: list(from, "links").map(link),
    status: { code: enumeration(status, "code", statusCodes), message: text(status, "message") },
  };
}

export const spanKinds = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"].map(
  (kind) => `SPAN_KIND_${kind}`,
);
export const statusCodes = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

function event(from: Members): OtlpEvent {
  return {
    timeNanoseconds: nanoseconds(from, "timeUnixNano"),
    name: text(from, "name"),
    attributes: list(from, "attributes").map((each) => attribute(each, 0)),
  };
}

function link(from: Members): OtlpLink {
  return {
    traceId: identity(from, "traceId", 32),
    spanId: identity(from, "spanId", 16),
    attributes: list(from, "attributes").map((each) => attribute(each, 0)),
  };
}

function attribute(from: Members, depth: number): Attribute {
  return { key: text(from, "key"), value: anyValue(members(from["value"] ?? {}, "value"), depth) };
}

function anyValue(from: Members, depth: number): AnyValue {
  if (depth > deepestValue) malformed(`a value lies more than ${deepestValue} levels deep`);
  const given = (name: string): boolean => (from[name] ?? undefined) !== undefined;
  if (given("stringValue")) return { type: "string", value: text(from, "stringValue") };
  if (given("boolValue")) return { type: "bool", value: from["boolValue"] === true };
  if (given("intValue")) return { type: "int", value: integer(from, "intValue") };
  if (given("doubleValue")) return { type: "double", value: double(from["doubleValue"]) };
  if (given("bytesValue")) return { type: "bytes", value: Buffer.from(text(from, "bytesValue"), "base64") };
  if (given("arrayValue")) {
    const values = list(members(from["arrayValue"], "arrayValue"), "values");
    return { type: "array", value: values.map((one) => anyValue(one, depth + 1)) };
  }
  if (given("kvlistValue")) {
    const values = list(members(from["kvlistValue"], "kvlistValue"), "values");
    return { type: "kvlist", value: values.map((one) => attribute(one, depth + 1)) };
  }
  return null;
}

function members(value: unknown, name: string): Members {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Members;
  return malformed(`${name} is no object`);
}

function list(from: Members, name: string): Members[] {
  const value = from[name] ?? [];
  if (!Array.isArray(value)) malformed(`${name} is no list`);
  return (value as unknown[]).map((one) => members(one, name));
}

function text(from: Members, name: string): string {
  const value = from[name] ?? "";
  return typeof value === "string" ? withoutNul(value.toWellFormed()) : malformed(`${name} is no text`);
}

function identity(from: Members, name: string, digits: number): string {
  const value = text(from, name);
  return value.length === digits && /^[0-9a-fA-F]+$/.test(value)
    ? value.toLowerCase()
    : malformed(`a ${name} is not ${digits} hexadecimal digits`);
}

function integer(from: Members, name: string): bigint {
  const value = from[name] ?? 0;
  const isWhole = typeof value === "bigint" || (typeof value === "number" && Number.isInteger(value));
  if (isWhole || (typeof value === "string" && /^-?\d{1,20}$/.test(value))) return BigInt.asIntN(64, BigInt(value));
  return malformed(`${name} is no integer`);
}

function nanoseconds(from: Members, name: string): bigint {
  const value = integer(from, name);
  return value < 0n ? malformed(`${name} is negative`) : value;
}

function double(value: unknown): number {
  const known = Number(value);
  return Number.isNaN(known) && value !== "NaN" ? malformed("doubleValue is no number") : known;
}

function enumeration(from: Members, name: string, names: readonly string[]): number {
  const value = from[name] ?? 0;
  if (typeof value === "number" && Number.isInteger(value)) return value;
  return typeof value === "string" ? Math.max(0, names.indexOf(value)) : malformed(`${name} is no enum`);
}
