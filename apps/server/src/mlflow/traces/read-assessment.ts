import { randomUUID } from "node:crypto";
import type { Assessment, AssessmentKind, JsonValue } from "../../db/queries/traces/assessment.ts";
import { asFields, type Fields, optionalText } from "../fields.ts";
import { invalidParameter, requireLength, requireNoNul } from "../limits.ts";
import { readTimestamp } from "./times.ts";

const kinds = ["feedback", "expectation", "issue"] as const satisfies readonly AssessmentKind[];
const sourceTypes = ["HUMAN", "LLM_JUDGE", "CODE"];
const longestName = 250;
/** As a source id, a span id or the id of another assessment may be. */
const longestId = 250;
const longestText = 64 * 1024;
/** Of what an assessment holds, as JSON. */
const longestBody = 1024 * 1024;

/** An assessment that a client sends. Its id is made here, unless the client repeats one that it was given. */
export function readAssessment(fields: Fields, traceId: string, now: number): Assessment {
  const kind = kinds.find((one) => (fields[one] ?? undefined) !== undefined);
  if (kind === undefined) invalidParameter("Unknown assessment type: None");
  const source = asFields(fields["source"] ?? {}, "source");
  const sourceType = optionalText(source, "source_type") ?? "";
  const metadata = readMetadata(fields);
  return {
    id: text(fields, "assessment_id", longestId) ?? `a-${randomUUID().replaceAll("-", "")}`,
    traceId,
    name: text(fields, "assessment_name", longestName) ?? "",
    kind,
    spanId: text(fields, "span_id", longestId),
    source: {
      type: sourceTypes.includes(sourceType) ? sourceType : "SOURCE_TYPE_UNSPECIFIED",
      id: text(source, "source_id", longestId) ?? "",
    },
    body: readBody(fields, kind),
    rationale: text(fields, "rationale", longestText),
    ...(metadata === undefined ? {} : { metadata }),
    overrides: text(fields, "overrides", longestId),
    createTime: timeOf(fields, "create_time") ?? now,
    lastUpdateTime: timeOf(fields, "last_update_time") ?? now,
  };
}

/** What `update_mask` names is taken from the fields, and its metadata added; all else stays. */
export function changedAssessment(
  present: Assessment,
  fields: Fields,
  mask: readonly string[],
  now: number,
): Assessment {
  const named = (name: string): boolean => mask.includes(name);
  if (named("expectation") && named("feedback")) {
    invalidParameter("Cannot specify both `expectation` and `feedback` parameters.");
  }
  if (named("expectation") && present.kind !== "expectation") {
    invalidParameter("Cannot update expectation value on a Feedback assessment.");
  }
  if (named("feedback") && present.kind !== "feedback") {
    invalidParameter("Cannot update feedback value on an Expectation assessment.");
  }
  const takesBody = named("expectation") || named("feedback");
  const metadata = named("metadata") ? { ...present.metadata, ...readMetadata(fields) } : present.metadata;
  return {
    ...present,
    name: named("assessment_name") ? (text(fields, "assessment_name", longestName) ?? "") : present.name,
    body: takesBody ? readBody(fields, present.kind) : present.body,
    rationale: named("rationale") ? (text(fields, "rationale", longestText) ?? "") : present.rationale,
    metadata,
    lastUpdateTime: now,
  };
}

/** Protobuf's JSON for the names of fields: camelCase, joined by commas. */
export function readMask(fields: Fields): string[] | undefined {
  const mask = optionalText(fields, "update_mask");
  if (mask === undefined || mask === "") return undefined;
  return mask.split(",").map((name) => name.trim().replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
}

function readBody(fields: Fields, kind: AssessmentKind): Assessment["body"] {
  const given = asFields(fields[kind], kind);
  const members =
    kind === "issue" ? ["issue_name"] : kind === "feedback" ? ["value", "error"] : ["value", "serialized_value"];
  const body: Assessment["body"] = {};
  for (const name of members) if (given[name] !== undefined) body[name] = jsonOf(given[name]);
  const json = JSON.stringify(body);
  if (json.length > longestBody) invalidParameter(`The ${kind} has more than ${longestBody} characters`);
  if (json.includes("\\u0000")) requireNoNul(kind, "\0");
  return body;
}

function jsonOf(value: unknown): JsonValue {
  // Protobuf's JSON knows doubles only: what is beyond 2^53 loses its last digits there too.
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(jsonOf);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, jsonOf(member)]));
  }
  return value as JsonValue;
}

function readMetadata(fields: Fields): Record<string, string> | undefined {
  const given = Object.entries(asFields(fields["metadata"] ?? {}, "metadata"));
  if (given.length === 0) return undefined;
  return Object.fromEntries(
    given.map(([key, value]) => {
      if (typeof value !== "string") invalidParameter(`The value of 'metadata.${key}' is no text`);
      requireNoNul("metadata", key + value);
      requireLength("metadata", longestText, key + value);
      return [key, value];
    }),
  );
}

function text(fields: Fields, name: string, limit: number): string | undefined {
  const value = optionalText(fields, name) || undefined;
  if (value === undefined) return undefined;
  requireNoNul(name, value);
  requireLength(name, limit, value);
  return value;
}

function timeOf(fields: Fields, name: string): number | undefined {
  const value = optionalText(fields, name);
  return value === undefined ? undefined : readTimestamp(value);
}
