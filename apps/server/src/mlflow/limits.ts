import { mlflowError } from "./mlflow-error.ts";

/** Limits of MLflow's own server, with its messages. Lengths are in code points, as Python counts. Source: mlflow/utils/validation.py. */
export const limits = {
  metricsABatch: 1000,
  paramsABatch: 100,
  tagsABatch: 100,
  entitiesABatch: 1000,
  datasetsABatch: 1000,
  key: 250,
  paramValue: 6000,
  tagValue: 8000,
  experimentName: 500,
  experimentTagKey: 250,
  experimentTagValue: 20_000,
  customViews: 50,
  artifactLocation: 2048,
  datasetName: 500,
  datasetDigest: 36,
  datasetSchema: 1_048_575,
  datasetSource: 65_535,
  datasetProfile: 16_777_215,
  inputTagKey: 255,
  inputTagValue: 500,
  runsOfBulkHistory: 100,
  pointsOfBulkHistory: 25_000,
  pointsOfBulkInterval: 2500,
} as const;

export function invalidParameter(message: string): never {
  throw mlflowError("INVALID_PARAMETER_VALUE", message);
}

export function invalidValue(path: string, value: unknown, message?: string): never {
  const shown = typeof value === "bigint" ? String(value) : (JSON.stringify(value) ?? "null");
  return invalidParameter(
    `Invalid value ${shown.slice(0, 1000)} for parameter '${path}' supplied${message === undefined ? "." : `: ${message}`}`,
  );
}

/** How Python counts: an emoji is one character. */
export function lengthOf(text: string): number {
  let length = text.length;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit >= 0xd800 && unit <= 0xdbff && text.charCodeAt(index + 1) >> 10 === 0x37) {
      length -= 1;
      index += 1;
    }
  }
  return length;
}

export function requireLength(name: string, limit: number, value: string): void {
  if (value.length > limit && lengthOf(value) > limit) {
    invalidParameter(`'${name}' exceeds the maximum length of ${limit} characters`);
  }
}

/** MLflow cuts long values of parameters and tags rather than losing a run for one. */
export function truncated(limit: number, value: string): string {
  return value.length <= limit || lengthOf(value) <= limit ? value : [...value].slice(0, limit).join("");
}

const plainName = /^[\w\- :]+$/;
const name = /^[/\p{L}\p{N}_.\- :]*$/u;
const allowed =
  "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/).";

/** A key of a metric, parameter or tag. `path` says where it stood in the request. */
export function requireName(path: string, key: string): void {
  if (plainName.test(key)) return;
  if (!name.test(key)) invalidValue(path, key, allowed);
  const normal = normalPath(key);
  if (normal !== key || normal === "." || normal.startsWith("..") || normal.startsWith("/")) {
    invalidValue(
      path,
      key,
      `Names may be treated as files in certain cases, and must not resolve to other names when treated as such. This name would resolve to '${normal}'`,
    );
  }
}

/** As Python's posixpath has it, which keeps two leading slashes and no trailing one. */
function normalPath(path: string): string {
  if (path === "") return ".";
  const slashes = path.startsWith("//") && !path.startsWith("///") ? "//" : path.startsWith("/") ? "/" : "";
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== ".." || (slashes === "" && (parts.length === 0 || parts.at(-1) === ".."))) parts.push(part);
    else parts.pop();
  }
  const normal = slashes + parts.join("/");
  return normal === "" ? "." : normal;
}

export function requireBatch(entities: string, limit: number, length: number): void {
  if (length > limit) {
    invalidParameter(
      `A batch logging request can contain at most ${limit} ${entities}. Got ${length} ${entities}. Please split up ${entities} across multiple requests and try again.`,
    );
  }
}

const runId = /^[a-zA-Z0-9][\w-]{0,255}$/;

export function requireRunId(id: string): void {
  if (!runId.test(id)) invalidValue("run_id", id);
}

/** PostgreSQL can not store a NUL, and JSON may hold one. */
export function requireNoNul(name: string, value: string): void {
  if (value.includes("\0")) invalidParameter(`The value of '${name}' holds a NUL character, which can not be stored`);
}

/** Only below the artifact proxy's own root: anything else would let a client read and write where the server can. */
export function requireArtifactLocation(name: string, location: string): void {
  if (location.length > limits.artifactLocation) {
    invalidParameter(
      `Invalid artifact path length. The length of the artifact path cannot be greater than ${limits.artifactLocation} characters.`,
    );
  }
  const parts = /^mlflow-artifacts:\/(?!\/)([^?#;%\\\p{Cc}]+)$/u.exec(location)?.[1]?.split("/");
  if (parts === undefined || parts.some((part) => part === "" || part === "." || part === "..")) {
    invalidParameter(
      `Invalid '${name}': it must be empty, or a plain path below 'mlflow-artifacts:/'. Given: '${location.slice(0, 200)}'`,
    );
  }
}
