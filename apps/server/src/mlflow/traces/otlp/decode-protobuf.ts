import {
  type AnyValue,
  type Attribute,
  deepestValue,
  type OtlpEvent,
  type OtlpLink,
  type OtlpSpan,
  type ResourceSpans,
} from "./spans.ts";
import { malformed, WireReader } from "./wire.ts";

/** An ExportTraceServiceRequest. Throws BAD_REQUEST when it is none. */
export function decodeProtobuf(body: Buffer): ResourceSpans[] {
  return messages(new WireReader(body), 1, resourceSpans);
}

/** The messages of one repeated field; whatever else there is, is skipped. */
function messages<T>(reader: WireReader, wanted: number, read: (reader: WireReader) => T): T[] {
  const found: T[] = [];
  while (reader.more) {
    const { field, type } = reader.tag();
    if (field === wanted) found.push(read(reader.message(type)));
    else reader.skip(type);
  }
  return found;
}

function resourceSpans(reader: WireReader): ResourceSpans {
  const found: ResourceSpans = { resource: [], spans: [] };
  while (reader.more) {
    const { field, type } = reader.tag();
    if (field === 1) found.resource = messages(reader.message(type), 1, attribute);
    else if (field === 2) for (const one of messages(reader.message(type), 2, span)) found.spans.push(one);
    else reader.skip(type);
  }
  return found;
}

function span(reader: WireReader): OtlpSpan {
  const found = emptySpan();
  while (reader.more) {
    const { field, type } = reader.tag();
    if (field === 1) found.traceId = identity(reader.bytes(type), 16, "trace_id");
    else if (field === 2) found.spanId = identity(reader.bytes(type), 8, "span_id");
    else if (field === 4) found.parentSpanId = parent(reader.bytes(type));
    else if (field === 5) found.name = reader.text(type);
    else if (field === 6) found.kind = reader.number(type);
    else if (field === 7) found.startNanoseconds = reader.fixed64(type);
    else if (field === 8) found.endNanoseconds = reader.fixed64(type);
    else if (field === 9) found.attributes.push(attribute(reader.message(type)));
    else if (field === 11) found.events.push(event(reader.message(type)));
    else if (field === 13) found.links.push(link(reader.message(type)));
    else if (field === 15) found.status = status(reader.message(type));
    else reader.skip(type);
  }
  if (found.traceId === "" || found.spanId === "") malformed("a span has no trace_id or no span_id");
  return found;
}

export function emptySpan(): OtlpSpan {
  return {
    traceId: "",
    spanId: "",
    parentSpanId: "",
    name: "",
    kind: 0,
    startNanoseconds: 0n,
    endNanoseconds: 0n,
    attributes: [],
    events: [],
    links: [],
    status: { code: 0, message: "" },
  };
}

function identity(bytes: Buffer, length: number, name: string): string {
  if (bytes.length !== length) malformed(`a ${name} has ${bytes.length} bytes instead of ${length}`);
  return bytes.toString("hex");
}

/** Some exporters send eight zeros for a root. */
function parent(bytes: Buffer): string {
  return bytes.every((byte) => byte === 0) ? "" : identity(bytes, 8, "parent_span_id");
}

function attribute(reader: WireReader, depth = 0): Attribute {
  const found: Attribute = { key: "", value: null };
  while (reader.more) {
    const { field, type } = reader.tag();
    if (field === 1) found.key = reader.text(type);
    else if (field === 2) found.value = anyValue(reader.message(type), depth);
    else reader.skip(type);
  }
  return found;
}

function anyValue(reader: WireReader, depth: number): AnyValue {
  if (depth > deepestValue) malformed(`a value lies more than ${deepestValue} levels deep`);
  let found: AnyValue = null;
  while (reader.more) {
    const { field, type } = reader.tag();
    if (field === 1) found = { type: "string", value: reader.text(type) };
    else if (field === 2) found = { type: "bool", value: reader.number(type) !== 0 };
    else if (field === 3) found = { type: "int", value: reader.integer(type) };
    else if (field === 4) found = { type: "double", value: reader.double(type) };
    else if (field === 5) {
      found = { type: "array", value: messages(reader.message(type), 1, (one) => anyValue(one, depth + 1)) };
    } else if (field === 6) {
      found = { type: "kvlist", value: messages(reader.message(type), 1, (one) => attribute(one, depth + 1)) };
    } else if (field === 7) found = { type: "bytes", value: reader.bytes(type) };
    else reader.skip(type);
  }
  return found;
}

function event(reader: WireReader): OtlpEvent {
  const found: OtlpEvent = { timeNanoseconds: 0n, name: "", attributes: [] };
  while (reader.more) {
    const { field, type } = reader.tag();
    if (field === 1) found.timeNanoseconds = reader.fixed64(type);
    else if (field === 2) found.name = reader.text(type);
    else if (field === 3) found.attributes.push(attribute(reader.message(type)));
    else reader.skip(type);
  }
  return found;
}

function link(reader: WireReader): OtlpLink {
  const found: OtlpLink = { traceId: "", spanId: "", attributes: [] };
  while (reader.more) {
    const { field, type } = reader.tag();
    if (field === 1) found.traceId = reader.bytes(type).toString("hex");
    else if (field === 2) found.spanId = reader.bytes(type).toString("hex");
    else if (field === 4) found.attributes.push(attribute(reader.message(type)));
    else reader.skip(type);
  }
  return found;
}

function status(reader: WireReader): OtlpSpan["status"] {
  const found = { code: 0, message: "" };
  while (reader.more) {
    const { field, type } = reader.tag();
    if (field === 2) found.message = reader.text(type);
    else if (field === 3) found.code = reader.number(type);
    else reader.skip(type);
  }
  return found;
}
