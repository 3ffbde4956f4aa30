/** Spans as OTLP has them, decoded from either of its encodings. Source: opentelemetry-proto, trace/v1/trace.proto, common/v1/common.proto. */
export interface OtlpSpan {
  /** Lower-case hex, 32 digits. */
  traceId: string;
  /** Lower-case hex, 16 digits. */
  spanId: string;
  /** Empty: a root. */
  parentSpanId: string;
  name: string;
  kind: number;
  /** Nanoseconds since the epoch. 0 as the end: it has not ended. */
  startNanoseconds: bigint;
  endNanoseconds: bigint;
  attributes: Attribute[];
  events: OtlpEvent[];
  links: OtlpLink[];
  status: { code: number; message: string };
}

export interface Attribute {
  key: string;
  value: AnyValue;
}

/** `null`: a value that holds nothing. */
export type AnyValue =
  | { type: "string"; value: string }
  | { type: "bool"; value: boolean }
  | { type: "int"; value: bigint }
  | { type: "double"; value: number }
  | { type: "bytes"; value: Buffer }
  | { type: "array"; value: AnyValue[] }
  | { type: "kvlist"; value: Attribute[] }
  | null;

export interface OtlpEvent {
  timeNanoseconds: bigint;
  name: string;
  attributes: Attribute[];
}

export interface OtlpLink {
  traceId: string;
  spanId: string;
  attributes: Attribute[];
}

/** Spans of one program. */
export interface ResourceSpans {
  resource: Attribute[];
  spans: OtlpSpan[];
}

/** A value within a value within a value ...: no more than this many. */
export const deepestValue = 64;
