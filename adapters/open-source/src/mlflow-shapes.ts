import type {
  Lifecycle,
  SourceRun,
  TrackedModel,
  TrackedRegisteredModel,
  TrackedTags,
  TrackedVersion,
} from "@espalier/core";
import { z } from "zod";

/** What an MLflow server answers, read loosely, and as ours. */
const pairs = z
  .array(z.object({ key: z.string(), value: z.string().default("") }))
  .default([])
  .transform((all): TrackedTags => Object.fromEntries(all.map(({ key, value }) => [key, value])));
const time = z.coerce.number().default(0);
const whole = z.union([z.number(), z.bigint(), z.string().transform((text) => BigInt(text))]).default(0);
const real = z.union([z.number(), z.bigint(), z.string()]).default(0).transform(Number);
const lifecycle = z
  .string()
  .default("active")
  .transform((stage): Lifecycle => (stage === "deleted" ? "deleted" : "active"));
const text = z.string().default("");

export const experimentSchema = z
  .object({
    experiment_id: z.coerce.string(),
    name: z.string(),
    lifecycle_stage: lifecycle,
    creation_time: time,
    last_update_time: time,
    tags: pairs,
  })
  .transform((one) => ({
    id: one.experiment_id,
    name: one.name,
    lifecycle: one.lifecycle_stage,
    tags: one.tags,
    ...(one.creation_time === 0 ? {} : { createdAt: one.creation_time }),
    ...(one.last_update_time === 0 ? {} : { updatedAt: one.last_update_time }),
  }));

export const metricSchema = z.object({ key: z.string(), value: real, step: whole, timestamp: whole });

export const runSchema = z.object({
  info: z.object({
    run_id: z.string(),
    experiment_id: z.coerce.string(),
    run_name: text,
    user_id: text,
    status: z.string().default("RUNNING"),
    start_time: time,
    end_time: z.coerce.number().optional(),
    artifact_uri: text,
    lifecycle_stage: lifecycle,
  }),
  data: z
    .object({ metrics: z.array(z.object({ key: z.string() })).default([]), params: pairs, tags: pairs })
    .prefault({}),
  inputs: z
    .object({
      dataset_inputs: z
        .array(
          z.object({
            tags: pairs,
            dataset: z.object({
              name: z.string(),
              digest: z.string(),
              source_type: text,
              source: text,
              schema: z.string().optional(),
              profile: z.string().optional(),
            }),
          }),
        )
        .default([]),
      model_inputs: z.array(z.object({ model_id: z.string() })).default([]),
    })
    .prefault({}),
  outputs: z
    .object({ model_outputs: z.array(z.object({ model_id: z.string(), step: whole })).default([]) })
    .prefault({}),
});

export function toRun({ info, data, inputs, outputs }: z.infer<typeof runSchema>): SourceRun {
  const parent = data.tags["mlflow.parentRunId"];
  const name = info.run_name || data.tags["mlflow.runName"] || info.run_id;
  return {
    run: {
      id: info.run_id,
      experimentId: info.experiment_id,
      name,
      user: info.user_id || data.tags["mlflow.user"] || "",
      status: info.status,
      lifecycle: info.lifecycle_stage,
      startTime: info.start_time,
      ...(info.end_time === undefined || info.end_time === 0 ? {} : { endTime: info.end_time }),
      ...(parent === undefined ? {} : { parentRunId: parent }),
    },
    params: data.params,
    tags: data.tags,
    metricKeys: data.metrics.map((metric) => metric.key),
    inputs: inputs.dataset_inputs.map(({ tags, dataset: { source_type: sourceType, schema, profile, ...rest } }) => ({
      ...rest,
      sourceType,
      ...(schema === undefined ? {} : { schema }),
      ...(profile === undefined ? {} : { profile }),
      tags,
    })),
    models: [
      ...inputs.model_inputs.map((one) => ({ modelId: one.model_id, direction: "input" as const, step: 0 })),
      ...outputs.model_outputs.map((one) => ({ modelId: one.model_id, direction: "output" as const, step: one.step })),
    ],
    artifactUri: info.artifact_uri,
  };
}

export const loggedModelSchema = z.object({
  info: z.object({
    model_id: z.string(),
    experiment_id: z.coerce.string(),
    name: text,
    creation_timestamp_ms: time,
    last_updated_timestamp_ms: time,
    artifact_uri: text,
    status: z.union([z.string(), z.number()]).default("LOGGED_MODEL_PENDING"),
    status_message: z.string().optional(),
    model_type: z.string().optional(),
    source_run_id: z.string().optional(),
    tags: pairs,
  }),
  data: z
    .object({
      params: pairs,
      metrics: z
        .array(
          metricSchema.extend({
            run_id: text,
            dataset_name: z.string().optional(),
            dataset_digest: z.string().optional(),
          }),
        )
        .default([]),
    })
    .prefault({}),
});

export function toLoggedModel({ info, data }: z.infer<typeof loggedModelSchema>): TrackedModel {
  return {
    id: info.model_id,
    experimentId: info.experiment_id,
    name: info.name,
    ...(info.source_run_id ? { runId: info.source_run_id } : {}),
    status: modelStatus(info.status),
    ...(info.status_message ? { statusMessage: info.status_message } : {}),
    ...(info.model_type ? { type: info.model_type } : {}),
    params: data.params,
    tags: info.tags,
    metrics: data.metrics.map(
      ({ run_id: runId, dataset_name: datasetName, dataset_digest: datasetDigest, ...point }) => ({
        ...point,
        runId,
        ...(datasetName === undefined ? {} : { datasetName }),
        ...(datasetDigest === undefined ? {} : { datasetDigest }),
      }),
    ),
    createdAt: info.creation_timestamp_ms,
    updatedAt: info.last_updated_timestamp_ms,
  };
}

function modelStatus(status: string | number): string {
  if (status === 2 || /READY$/.test(String(status))) return "READY";
  return status === 3 || /FAILED$/.test(String(status)) ? "FAILED" : "PENDING";
}

export const registeredModelSchema = z.object({
  name: z.string(),
  description: text,
  creation_timestamp: time,
  last_updated_timestamp: time,
  tags: pairs,
  aliases: z.array(z.object({ alias: z.string(), version: z.coerce.number() })).default([]),
});

export function toRegisteredModel(model: z.infer<typeof registeredModelSchema>): TrackedRegisteredModel {
  return {
    name: model.name,
    ...(model.description === "" ? {} : { description: model.description }),
    tags: model.tags,
    aliases: Object.fromEntries(model.aliases.map(({ alias, version }) => [alias, version])),
    createdAt: model.creation_timestamp,
    updatedAt: model.last_updated_timestamp,
  };
}

export const versionSchema = z.object({
  name: z.string(),
  version: z.coerce.number(),
  creation_timestamp: time,
  last_updated_timestamp: time,
  user_id: text,
  current_stage: z.string().default("None"),
  description: text,
  source: text,
  run_id: text,
  run_link: text,
  model_id: text,
  status: z.string().default("READY"),
  status_message: text,
  tags: pairs,
});

export function toVersion(one: z.infer<typeof versionSchema>): TrackedVersion {
  return {
    name: one.name,
    version: one.version,
    source: one.source,
    ...(one.run_id === "" ? {} : { runId: one.run_id }),
    ...(one.model_id === "" ? {} : { modelId: one.model_id }),
    ...(one.run_link === "" ? {} : { runLink: one.run_link }),
    stage: one.current_stage,
    status: one.status,
    ...(one.status_message === "" ? {} : { statusMessage: one.status_message }),
    ...(one.description === "" ? {} : { description: one.description }),
    user: one.user_id,
    tags: one.tags,
    createdAt: one.creation_timestamp,
    updatedAt: one.last_updated_timestamp,
  };
}
