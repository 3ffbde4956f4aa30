import type { NewSpan, TraceOfSpans } from "../../db/queries/traces/log-spans.ts";
import { sessionMetadata, type TraceState, userMetadata } from "../../db/queries/traces/trace.ts";
import { limits, truncated } from "../limits.ts";
import { spanContent } from "./otlp/span-content.ts";
import type { AnyValue, OtlpSpan, ResourceSpans } from "./otlp/spans.ts";
import { malformed } from "./otlp/wire.ts";
import { plainValue, preview, pythonJson } from "./preview.ts";

const greatestTime = 2n ** 63n - 1n;

/** What is to be written of one OTLP request. */
export function spansOfRequest(request: readonly ResourceSpans[]): { spans: NewSpan[]; traces: TraceOfSpans[] } {
  const spans: NewSpan[] = [];
  const traces = new Map<string, TraceBuilder>();
  for (const { resource, spans: given } of request) {
    const resourceTags = tagsOfResource(resource);
    for (const span of given) {
      if (span.startNanoseconds > greatestTime || span.endNanoseconds > greatestTime)
        malformed("a time is out of range");
      const id = `tr-${span.traceId}`;
      spans.push({
        traceId: id,
        spanId: span.spanId,
        parentSpanId: span.parentSpanId,
        name: span.name,
        type: textOf(span, "mlflow.spanType") ?? "UNKNOWN",
        status: statusOf(span),
        startNanoseconds: span.startNanoseconds,
        endNanoseconds: span.endNanoseconds,
        content: spanContent(span, id),
      });
      const trace = traces.get(id) ?? newTrace(id);
      traces.set(id, trace);
      extend(trace, span, resourceTags);
    }
  }
  return { spans, traces: [...traces.values()] };
}

interface TraceBuilder extends TraceOfSpans {
  tags: Map<string, string>;
  metadata: Map<string, string>;
}

function newTrace(id: string): TraceBuilder {
  return {
    id,
    startTime: Number.MAX_SAFE_INTEGER,
    endTime: undefined,
    state: "IN_PROGRESS",
    requestPreview: undefined,
    responsePreview: undefined,
    tags: new Map(),
    metadata: new Map(),
  };
}

function extend(trace: TraceBuilder, span: OtlpSpan, resourceTags: ReadonlyMap<string, string>): void {
  trace.startTime = Math.min(trace.startTime, Number(span.startNanoseconds / 1_000_000n));
  if (span.endNanoseconds !== 0n) {
    trace.endTime = Math.max(trace.endTime ?? 0, Number(span.endNanoseconds / 1_000_000n));
  }
  for (const [key, value] of resourceTags) if (!trace.tags.has(key)) trace.tags.set(key, value);
  const session = textOf(span, "session.id") ?? textOf(span, "gen_ai.conversation.id");
  if (session && !trace.metadata.has(sessionMetadata)) trace.metadata.set(sessionMetadata, session.slice(0, 250));
  const user = textOf(span, "user.id");
  if (user && !trace.metadata.has(userMetadata)) trace.metadata.set(userMetadata, truncated(limits.tagValue, user));
  if (span.parentSpanId !== "") return;
  trace.state = stateOfRoot(span);
  trace.requestPreview ??= preview(attributeOf(span, "mlflow.spanInputs"), "user");
  trace.responsePreview ??= preview(attributeOf(span, "mlflow.spanOutputs"), "assistant");
  for (const { key, value } of span.attributes) {
    if (!key.startsWith(tagPrefix)) continue;
    putTag(trace.tags, key.slice(tagPrefix.length), value);
  }
}

/** Tags of the trace travel as attributes of its root. */
const tagPrefix = "mlflow.traceTag.";
const kept = ["mlflow.trace.spansLocation", "mlflow.artifactLocation", "mlflow.trace.archiveLocation"];
const tagName = /^[/\p{L}\p{N}_.\- :]{1,250}$/u;

/** What names the program (service.name and the like); its exporter's own details and MLflow's names are none of its. */
function tagsOfResource(resource: ResourceSpans["resource"]): Map<string, string> {
  const tags = new Map<string, string>();
  for (const { key, value } of resource) {
    if (!key.startsWith("telemetry.sdk.") && !key.startsWith("mlflow.")) putTag(tags, key, value);
  }
  return tags;
}

/** A tag that could not be set by itself is passed over: spans must not be lost for it. */
function putTag(tags: Map<string, string>, key: string, value: AnyValue): void {
  if (!tagName.test(key) || kept.includes(key)) return;
  const plain = plainValue(value);
  tags.set(key, truncated(limits.tagValue, typeof plain === "string" ? plain : pythonJson(plain)));
}

function stateOfRoot(span: OtlpSpan): TraceState {
  return statusOf(span) === "ERROR" ? "ERROR" : "OK";
}

function statusOf({ status }: OtlpSpan): NewSpan["status"] {
  return status.code === 1 ? "OK" : status.code === 2 ? "ERROR" : "UNSET";
}

function attributeOf(span: OtlpSpan, key: string): AnyValue {
  return span.attributes.find((attribute) => attribute.key === key)?.value ?? null;
}

function textOf(span: OtlpSpan, key: string): string | undefined {
  const value = attributeOf(span, key);
  return value?.type === "string" ? value.value : undefined;
}
