import type { TraceState } from "../../db/queries/traces/trace.ts";
import type { GivenTrace } from "../../db/queries/traces/write-info.ts";
import type { KeyValue } from "../../db/queries/tracking/experiments.ts";
import { asFields, type Fields, fieldsList, missing, optionalText, requiredId, requiredText } from "../fields.ts";
import { invalidParameter, lengthOf, limits, requireLength, requireName, requireNoNul, truncated } from "../limits.ts";
import { experimentIdOf } from "../tracked.ts";
import { readAssessment } from "./read-assessment.ts";
import { readDuration, readTimestamp } from "./times.ts";

const traceNameTag = "mlflow.traceName";
const longestName = 4096;
const longestKey = 250;
const longestPreview = 10_000;
const longestClientId = 250;
const mostPairs = 1000;
const mostAssessments = 500;

/** The id becomes part of the place of the trace's files. */
const traceId = /^[\w-]{1,128}$/;

function requireTraceId(id: string): string {
  return traceId.test(id) ? id : invalidParameter(`Invalid trace ID '${id.slice(0, 200)}'`);
}

const states: readonly string[] = ["OK", "ERROR", "IN_PROGRESS"] satisfies TraceState[];

export function stateOf(fields: Fields, name: string): TraceState {
  const value = fields[name];
  // Enums may come as numbers, and what is unknown is unspecified.
  const text = typeof value === "number" ? states[value - 1] : value;
  return typeof text === "string" && states.includes(text) ? (text as TraceState) : "STATE_UNSPECIFIED";
}

/** `trace.trace_info` of a request. */
export function readTrace(fields: Fields, now: number): GivenTrace {
  const info = asFields(asFields(fields["trace"] ?? missing("trace"), "trace")["trace_info"] ?? {}, "trace_info");
  const location = asFields(info["trace_location"] ?? {}, "trace_location");
  const experiment = asFields(location["mlflow_experiment"] ?? {}, "mlflow_experiment");
  const experimentId = experimentIdOf(requiredId(experiment, "experiment_id"));
  const id = requireTraceId(requiredText(info, "trace_id"));
  const requestTime = readTimestamp(optionalText(info, "request_time") ?? "") ?? 0;
  const duration = readDuration(optionalText(info, "execution_duration") ?? "");
  const assessments = fieldsList(info, "assessments");
  if (assessments.length > mostAssessments) invalidParameter(`A trace may start with ${mostAssessments} assessments`);
  return {
    id,
    experimentId,
    requestTime,
    endTime: duration === undefined ? undefined : requestTime + duration,
    state: stateOf(info, "state"),
    clientRequestId: clientId(info),
    requestPreview: preview(info, "request_preview"),
    responsePreview: preview(info, "response_preview"),
    tags: pairsOf(Object.entries(asFields(info["tags"] ?? {}, "tags")), "tags"),
    metadata: pairsOf(Object.entries(asFields(info["trace_metadata"] ?? {}, "trace_metadata")), "trace_metadata"),
    assessments: assessments.map((one) => readAssessment(one, id, now)),
  };
}

/** Lists of {key, value}, as the clients of MLflow 2 send them. */
export function oldPairs(fields: Fields, name: string): KeyValue[] {
  return pairsOf(
    fieldsList(fields, name).map((one) => [requiredText(one, "key"), optionalText(one, "value") ?? ""]),
    name,
  );
}

function pairsOf(given: readonly (readonly [string, unknown])[], name: string): KeyValue[] {
  if (given.length > mostPairs) invalidParameter(`'${name}' may have ${mostPairs} members`);
  return given.map(([key, value]) => {
    if (typeof value !== "string") return invalidParameter(`The value of '${name}.${key.slice(0, 250)}' is no text`);
    return checkedPair(key, value, name);
  });
}

function checkedPair(key: string, value: string, name: string): KeyValue {
  requireNoNul(name, key + value);
  requireLength("key", longestKey, key);
  if (key === traceNameTag) requireLength("Trace name", longestName, value);
  return { key, value: truncated(limits.tagValue, value) };
}

const immutable = ["mlflow.trace.spansLocation", "mlflow.trace.archiveLocation", "mlflow.artifactLocation"];

/** A tag that is set by itself. Where a trace's files lie is not for clients to say: others would follow them there. */
export function requireMutableTag(key: string, operation: "set" | "deleted"): void {
  if (immutable.includes(key)) invalidParameter(`Tag '${key}' is immutable and cannot be ${operation} on a trace.`);
}

export function readTag(fields: Fields): KeyValue {
  const key = requiredText(fields, "key");
  requireMutableTag(key, "set");
  requireName("key", key);
  return checkedPair(key, optionalText(fields, "value") ?? "", "value");
}

function preview(fields: Fields, name: string): string | undefined {
  const value = optionalText(fields, name);
  if (value === undefined) return undefined;
  requireNoNul(name, value);
  return lengthOf(value) > longestPreview ? truncated(longestPreview, value) : value;
}

function clientId(fields: Fields): string | undefined {
  const value = optionalText(fields, "client_request_id");
  if (value === undefined) return undefined;
  requireNoNul("client_request_id", value);
  requireLength("client_request_id", longestClientId, value);
  return value;
}
