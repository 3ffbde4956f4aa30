/** Values of a span's attributes. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>;

export interface ExportedSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  traceState?: string;
  name: string;
  kind: "internal" | "server" | "client";
  /** Since the epoch, as decimal digits: more than a number holds. */
  startNanoseconds: string;
  endNanoseconds: string;
  attributes: SpanAttributes;
  /** The span failed, and why. */
  error?: string;
}

export interface SpanExporter {
  /** Never waits and never throws; what does not fit is dropped and counted. */
  add(span: ExportedSpan): void;
  counts(): { sent: number; dropped: number };
  /** Sends what waits, within seconds. */
  close(): Promise<void>;
}
