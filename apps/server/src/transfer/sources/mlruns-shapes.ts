import type { TrackedPoint } from "@espalier/core";
import { z } from "zod";

/** The `meta.yaml` files of MLflow's file store, of all its versions. */
const text = z
  .union([z.string(), z.number(), z.null()])
  .optional()
  .transform((value) => (value === null || value === undefined ? "" : String(value)));
const time = z.union([z.number(), z.null()]).optional();
const lifecycle = z
  .string()
  .default("active")
  .transform((stage) => (stage === "deleted" ? "deleted" : "active") as "deleted" | "active");

export const experimentMeta = z.object({
  experiment_id: z.union([z.string(), z.number()]).transform(String),
  name: z.union([z.string(), z.number()]).transform(String),
  lifecycle_stage: lifecycle,
  creation_time: time,
  last_update_time: time,
});

/** Statuses by number: the store keeps protobuf's enum. */
const statuses: Readonly<Record<string, string>> = {
  1: "RUNNING",
  2: "SCHEDULED",
  3: "FINISHED",
  4: "FAILED",
  5: "KILLED",
};

export const runMeta = z.object({
  run_id: z.string().optional(),
  run_uuid: z.string().optional(),
  run_name: text,
  name: text,
  user_id: text,
  status: z
    .union([z.string(), z.number()])
    .default(1)
    .transform((value) => statuses[String(value)] ?? String(value)),
  start_time: time,
  end_time: time,
  artifact_uri: text,
  lifecycle_stage: lifecycle,
});

export const modelMeta = z.object({
  model_id: z.string(),
  name: text,
  creation_timestamp: z.number().default(0),
  last_updated_timestamp: z.number().default(0),
  model_type: text,
  source_run_id: text,
  status: z.union([z.string(), z.number()]).default(1),
  status_message: text,
  artifact_location: text,
  lifecycle_stage: lifecycle,
});

export const registeredMeta = z.object({
  name: z.union([z.string(), z.number()]).transform(String),
  description: text,
  creation_timestamp: z.number().default(0),
  last_updated_timestamp: z.number().default(0),
});

export const versionMeta = z.object({
  name: z.union([z.string(), z.number()]).transform(String),
  version: z.coerce.number(),
  creation_timestamp: z.number().default(0),
  last_updated_timestamp: z.number().default(0),
  description: text,
  user_id: text,
  current_stage: z.string().default("None"),
  source: text,
  storage_location: text,
  run_id: text,
  run_link: text,
  model_id: text,
  status: z.string().default("READY"),
  status_message: text,
});

export const inputMeta = z.object({
  source_type: z.string().default("DATASET"),
  source_id: z.string(),
  destination_id: z.string().default(""),
  step: z.number().default(0),
  tags: z.record(z.string(), z.coerce.string()).default({}),
});

export const datasetMeta = z.object({
  name: z.union([z.string(), z.number()]).transform(String),
  digest: z.union([z.string(), z.number()]).transform(String),
  source_type: text,
  source: text,
  schema: z.string().nullish(),
  profile: z.string().nullish(),
});

/** `<ms> <value> [<step> [...]]`; undefined: it is none. */
export function readMetricLine(key: string, line: string): (TrackedPoint & { rest: string[] }) | undefined {
  const [timestamp = "", value = "", step = "0", ...rest] = line.trim().split(" ");
  const number = readPythonFloat(value);
  if (number === undefined || !/^-?\d+$/.test(timestamp) || !/^-?\d+$/.test(step)) return undefined;
  return { key, value: number, step: wholeNumber(step), timestamp: wholeNumber(timestamp), rest };
}

function wholeNumber(value: string | bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : BigInt(value);
}

function readPythonFloat(value: string): number | undefined {
  if (/^[+-]?(inf|infinity)$/i.test(value))
    return value.startsWith("-") ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  if (/^[+-]?nan$/i.test(value)) return Number.NaN;
  const number = value === "" ? Number.NaN : Number(value);
  return Number.isNaN(number) ? undefined : number;
}
