import { spanKinds, statusCodes } from "./decode-json.ts";
import type { AnyValue, Attribute, OtlpSpan } from "./spans.ts";

/** The attribute by which MLflow's clients find the trace of a span. */
const traceIdAttribute = "mlflow.traceRequestId";

/**
 * A span as MLflow's JSON has it (protobuf's, with its own field names). Kept as it will be answered, so that reading a trace of
 * thousands of spans costs no more than joining texts. Written by hand, since 64-bit integers go out as plain numbers.
 */
export function spanContent(span: OtlpSpan, mlflowTraceId: string): string {
  const own: Attribute = { key: traceIdAttribute, value: { type: "string", value: mlflowTraceId } };
  // What the sender calls the trace counts for nothing: the id follows from the trace id of the span.
  const isNamed = span.attributes.some(({ key }) => key === traceIdAttribute);
  const attributes = isNamed
    ? span.attributes.map((one) => (one.key === traceIdAttribute ? own : one))
    : [...span.attributes, own];
  const members = [`"trace_id":"${base64(span.traceId)}"`, `"span_id":"${base64(span.spanId)}"`];
  if (span.parentSpanId !== "") members.push(`"parent_span_id":"${base64(span.parentSpanId)}"`);
  members.push(`"name":${JSON.stringify(span.name)}`);
  const kind = spanKinds[span.kind];
  if (kind !== undefined && span.kind !== 0) members.push(`"kind":"${kind}"`);
  members.push(`"start_time_unix_nano":${span.startNanoseconds}`);
  if (span.endNanoseconds !== 0n) members.push(`"end_time_unix_nano":${span.endNanoseconds}`);
  members.push(`"attributes":${attributesText(attributes)}`);
  if (span.events.length > 0) members.push(`"events":[${span.events.map(eventText).join(",")}]`);
  if (span.links.length > 0) members.push(`"links":[${span.links.map(linkText).join(",")}]`);
  members.push(`"status":${statusText(span.status)}`);
  return `{${members.join(",")}}`;
}

function base64(hex: string): string {
  return Buffer.from(hex, "hex").toString("base64");
}

function eventText({ timeNanoseconds, name, attributes }: OtlpSpan["events"][number]): string {
  const rest = attributes.length === 0 ? "" : `,"attributes":${attributesText(attributes)}`;
  return `{"time_unix_nano":${timeNanoseconds},"name":${JSON.stringify(name)}${rest}}`;
}

function linkText({ traceId, spanId, attributes }: OtlpSpan["links"][number]): string {
  const rest = attributes.length === 0 ? "" : `,"attributes":${attributesText(attributes)}`;
  return `{"trace_id":"${base64(traceId)}","span_id":"${base64(spanId)}"${rest}}`;
}

function statusText({ code, message }: OtlpSpan["status"]): string {
  const text = message === "" ? "" : `"message":${JSON.stringify(message)},`;
  return `{${text}"code":"${statusCodes[code] ?? statusCodes[0]}"}`;
}

function attributesText(attributes: readonly Attribute[]): string {
  return `[${attributes.map(({ key, value }) => `{"key":${JSON.stringify(key)},"value":${valueText(value)}}`).join(",")}]`;
}

function valueText(value: AnyValue): string {
  if (value === null) return "{}";
  switch (value.type) {
    case "string":
      return `{"string_value":${JSON.stringify(value.value)}}`;
    case "bool":
      return `{"bool_value":${value.value}}`;
    case "int":
      return `{"int_value":${value.value}}`;
    case "double":
      return `{"double_value":${Number.isFinite(value.value) ? value.value : `"${value.value}"`}}`;
    case "bytes":
      return `{"bytes_value":"${value.value.toString("base64")}"}`;
    case "array":
      return `{"array_value":{"values":[${value.value.map(valueText).join(",")}]}}`;
    case "kvlist":
      return `{"kvlist_value":{"values":${attributesText(value.value)}}}`;
  }
}
