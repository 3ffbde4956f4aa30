import type { TraceInfo } from "../../db/queries/traces/trace.ts";
import type { KeyValue } from "../../db/queries/tracking/experiments.ts";
import { assessmentDocument } from "./assessment-document.ts";
import { writeDuration, writeTimestamp } from "./times.ts";

/** A trace without its spans as MLflow 3's JSON has it. */
export function traceDocument(trace: TraceInfo): object {
  return {
    trace_id: trace.id,
    ...(trace.clientRequestId === undefined ? {} : { client_request_id: trace.clientRequestId }),
    trace_location: { type: "MLFLOW_EXPERIMENT", mlflow_experiment: { experiment_id: trace.experimentId } },
    ...(trace.requestPreview === undefined ? {} : { request_preview: trace.requestPreview }),
    ...(trace.responsePreview === undefined ? {} : { response_preview: trace.responsePreview }),
    request_time: writeTimestamp(trace.requestTime),
    ...(trace.endTime === undefined ? {} : { execution_duration: writeDuration(trace.endTime - trace.requestTime) }),
    state: trace.state,
    ...(trace.metadata.length === 0 ? {} : { trace_metadata: objectOf(trace.metadata) }),
    ...(trace.assessments.length === 0 ? {} : { assessments: trace.assessments.map(assessmentDocument) }),
    ...(trace.tags.length === 0 ? {} : { tags: objectOf(trace.tags) }),
  };
}

/** The same with spans, whose contents are JSON already. */
export function traceText(trace: TraceInfo, spans: readonly string[]): string {
  const rest = spans.length === 0 ? "" : `,"spans":[${spans.join(",")}]`;
  return `{"trace_info":${JSON.stringify(traceDocument(trace))}${rest}}`;
}

/** As the clients of MLflow 2 know it. */
export function oldTraceDocument(trace: TraceInfo): object {
  const pairs = (name: string, from: readonly KeyValue[], longestValue: number): object => {
    const shown = from.map(({ key, value }) => ({ key, value: value.slice(0, longestValue) }));
    return shown.length === 0 ? {} : { [name]: shown };
  };
  return {
    request_id: trace.id,
    experiment_id: trace.experimentId,
    timestamp_ms: trace.requestTime,
    execution_time_ms: trace.endTime === undefined ? 0 : trace.endTime - trace.requestTime,
    status: trace.state === "STATE_UNSPECIFIED" ? "TRACE_STATUS_UNSPECIFIED" : trace.state,
    ...pairs("request_metadata", trace.metadata, 250),
    ...pairs("tags", trace.tags, 4096),
  };
}

function objectOf(pairs: readonly KeyValue[]): Record<string, string> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, value]));
}
