import type { KeyValue } from "../db/queries/tracking/experiments.ts";
import type { LoggedMetric } from "../db/queries/tracking/log-entry.ts";
import type { TrackedRunInfo } from "../db/queries/tracking/run-data.ts";
import type { TrackedRunChange } from "../db/queries/tracking/runs.ts";
import {
  type Fields,
  missing,
  optionalInteger,
  optionalText,
  requiredDouble,
  requiredInteger,
  requiredText,
} from "./fields.ts";
import { invalidValue, limits, requireLength, requireName, requireNoNul, truncated } from "./limits.ts";
import { deletedRun, missingRun } from "./tracked.ts";

/** Members of requests that name a run, or log something to one. `path` is where they stood: "", or `metrics[3]`. */
const at = (path: string, name: string): string => (path === "" ? name : `${path}.${name}`);

/** Old clients say `run_uuid`, most say both. */
export function runIdOf(fields: Fields): string {
  const id = optionalText(fields, "run_id") || optionalText(fields, "run_uuid") || requiredText(fields, "run_id");
  // No run is called so, and PostgreSQL would refuse the question.
  return id.includes("\0") ? missingRun(id) : id;
}

export function changedRun(outcome: TrackedRunChange, id: string): TrackedRunInfo {
  if (outcome.kind === "missing") return missingRun(id);
  if (outcome.kind === "deleted") return deletedRun(id);
  return outcome.run;
}

/** As the member's reader would, but naming the place. */
function requirePresent(fields: Fields, path: string, ...names: string[]): void {
  if (path === "") return;
  for (const name of names) if (fields[name] == null || fields[name] === "") missing(at(path, name));
}

export function metricOf(fields: Fields, path = ""): LoggedMetric {
  requirePresent(fields, path, "key", "value", "timestamp");
  const key = requiredText(fields, "key");
  requireName(at(path, "name"), key);
  const value = requiredDouble(fields, "value");
  const timestamp = requiredInteger(fields, "timestamp");
  if (timestamp < 0) {
    invalidValue(
      at(path, "timestamp"),
      timestamp,
      `metric '${key}' (value=${Number.isInteger(value) ? value.toFixed(1) : value}). Timestamp must be a nonnegative long (64-bit integer) `,
    );
  }
  requireLength("Metric name", limits.key, key);
  const modelId = optionalText(fields, "model_id");
  const point = { key, value, timestamp, step: optionalInteger(fields, "step") ?? 0 };
  return modelId === undefined || modelId === ""
    ? point
    : {
        ...point,
        modelId,
        datasetName: optionalText(fields, "dataset_name"),
        datasetDigest: optionalText(fields, "dataset_digest"),
      };
}

export function paramOf(fields: Fields, path = ""): KeyValue {
  requirePresent(fields, path, "key");
  const key = requiredText(fields, "key");
  requireName(at(path, "key"), key);
  requireLength("Param key", limits.key, key);
  const value = optionalText(fields, "value") ?? "";
  requireNoNul(at(path, "value"), value);
  return { key, value: truncated(limits.paramValue, value) };
}

export function tagOf(fields: Fields, path = ""): KeyValue {
  requirePresent(fields, path, "key");
  const key = requiredText(fields, "key");
  requireName(at(path, "key"), key);
  requireLength(at(path, "key"), limits.key, key);
  const value = optionalText(fields, "value") ?? "";
  requireNoNul(at(path, "value"), value);
  return { key, value: truncated(limits.tagValue, value) };
}

/** Of one key the last counts. */
export function uniqueTags(tags: readonly KeyValue[]): KeyValue[] {
  return [...new Map(tags.map((tag) => [tag.key, tag])).values()];
}
