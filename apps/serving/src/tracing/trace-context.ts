import { randomBytes } from "node:crypto";

/** W3C Trace Context, level 1: www.w3.org/TR/trace-context. */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  traceId: string;
  /** 16 hexadecimal digits: the span that asks. */
  spanId: string;
  isSampled: boolean;
  /** What other vendors pass on, as it came. */
  traceState?: string;
}

/** Later versions may have more behind the flags; version ff is none. */
const traceparentPattern = /^([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(-.*)?$/;
const mostStateCharacters = 4096;

/** The caller's context; undefined when there is none, or when it is not one: then a new trace begins. */
export function parseTraceContext(traceparent: unknown, tracestate?: unknown): TraceContext | undefined {
  if (typeof traceparent !== "string") return undefined;
  const [, version, traceId = "", spanId = "", flags = "", rest] = traceparentPattern.exec(traceparent.trim()) ?? [];
  if (version === undefined || version === "ff" || (version === "00" && rest !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  const isSampled = (Number.parseInt(flags, 16) & 1) === 1;
  const state = typeof tracestate === "string" && tracestate.length <= mostStateCharacters ? tracestate : "";
  return { traceId, spanId, isSampled, ...(state === "" ? {} : { traceState: state }) };
}

export function formatTraceparent({ traceId, spanId, isSampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${isSampled ? "01" : "00"}`;
}

export function newTraceId(): string {
  return randomBytes(16).toString("hex");
}

export function newSpanId(): string {
  return randomBytes(8).toString("hex");
}
