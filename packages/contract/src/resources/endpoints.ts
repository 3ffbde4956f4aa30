import { jsonSchema, nameSchema, rolloutSettingsSchema, rolloutStrategies, strategyNames } from "@espalier/core";
import { z } from "zod";
import { apiPrefix, defineRoutes, doneSchema, emptyBody, instantSchema, pageOf, pageQuery } from "../route.ts";
import { modelNameSchema } from "./models.ts";
import { appliedEndpointSchema } from "./plan.ts";

export const strategySchema = z.enum(rolloutStrategies);

const shadowSchema = z.object({
  /** Requests that were asked of it too, that it failed, and that were not mirrored for lack of room. */
  mirrored: z.number(),
  failed: z.number(),
  dropped: z.number(),
  /** Rows that both predicted, and those among them that agree. */
  compared: z.number(),
  agreed: z.number(),
});

export const endpointSchema = z.object({
  name: z.string(),
  generation: z.number(),
  state: z.enum(["deploying", "ready", "degraded", "failed", "deleted"]),
  /** Where the router listens; it needs no control plane. */
  url: z.string().optional(),
  versions: z.array(
    z.object({
      model: z.string(),
      version: z.string(),
      /** Share of traffic, 0 to 1. */
      weight: z.number(),
      ready: z.boolean().optional(),
      requests: z.number().optional(),
      errors: z.number().optional(),
      /** 99 % of the requests since the router began took no longer than this. */
      p99Seconds: z.number().optional(),
      replicas: z.object({ ready: z.number(), wanted: z.number() }).optional(),
      /** Share of requests that it is asked beside the version that answers, 0 to 1. */
      mirror: z.number().optional(),
      shadow: shadowSchema.optional(),
      /** Loaded without traffic until then, so that a rollback takes no start. */
      keepUntil: instantSchema.optional(),
      message: z.string().optional(),
    }),
  ),
  captureRate: z.number(),
  /** Requests that a rule fits go to its version, whatever the weights say. */
  rules: z.array(jsonSchema).optional(),
  updatedAt: instantSchema,
});
export type Endpoint = z.infer<typeof endpointSchema>;

export const rolloutSchema = z.object({
  id: z.string(),
  endpoint: z.string(),
  model: z.string(),
  /** The version that is rolled out, and the one it replaces. */
  toVersion: z.string(),
  fromVersion: z.string().optional(),
  strategy: strategySchema,
  state: z.enum(["pending", "running", "succeeded", "rolled_back", "failed"]),
  weight: z.number(),
  reason: z.string().optional(),
  startedBy: z.string(),
  /** What was found at the end of each step. */
  steps: z.array(
    z.object({
      weight: z.number(),
      startedAt: instantSchema,
      endedAt: instantSchema,
      requests: z.number(),
      errors: z.number(),
      outcome: z.enum(["advanced", "rolled back"]),
      checks: z.array(
        z.object({
          name: z.enum(["errors", "latency", "shift", "metric", "agreement", "smoke"]),
          outcome: z.enum(["pass", "fail", "unknown"]),
          reason: z.string(),
          values: z.record(z.string(), z.union([z.number(), z.string(), z.null()])).optional(),
        }),
      ),
    }),
  ),
  startedAt: instantSchema,
  finishedAt: instantSchema.optional(),
});
export type Rollout = z.infer<typeof rolloutSchema>;

/** One change of an endpoint. */
export const endpointChangeSchema = z.object({
  generation: z.number(),
  at: instantSchema,
  by: z.string(),
  reason: z.string(),
  runId: z.string().optional(),
  /** What was to be served from then on; nothing after a deletion. */
  versions: z.array(
    z.object({ model: z.string(), version: z.string(), weight: z.number(), mirror: z.number().optional() }),
  ),
});
export type EndpointChange = z.infer<typeof endpointChangeSchema>;

const named = z.object({ name: nameSchema });

export const endpointRoutes = defineRoutes({
  "endpoints.list": {
    method: "GET",
    path: `${apiPrefix}/endpoints`,
    role: "viewer",
    kind: "json",
    summary: "Endpoints by name",
    query: z.object(pageQuery),
    response: pageOf(endpointSchema),
  },
  "endpoints.get": {
    method: "GET",
    path: `${apiPrefix}/endpoints/:name`,
    role: "viewer",
    kind: "json",
    summary: "Desired state and what the deployer sees",
    params: named,
    response: endpointSchema,
  },
  "endpoints.apply": {
    method: "POST",
    path: `${apiPrefix}/apply`,
    role: "editor",
    kind: "json",
    summary: "Makes the endpoints that espalier.yaml declares the desired state, and brings it about",
    body: z
      .strictObject({
        /** Left out: all that are declared. */
        names: z.array(nameSchema).max(1000).optional(),
        /** Stops endpoints that were declared once and no longer are. */
        prune: z.boolean().optional(),
      })
      .optional(),
    response: z.object({ endpoints: z.array(appliedEndpointSchema) }),
  },
  "endpoints.deploy": {
    method: "POST",
    path: `${apiPrefix}/endpoints/:name/deploy`,
    role: "editor",
    kind: "json",
    summary: "Serves a registered version; one without a passed verdict is UNGATED unless `gate` is `none`",
    params: named,
    body: z.strictObject({
      model: modelNameSchema,
      /** A number, `latest` or `@alias`. */
      version: z.string(),
      /** `direct` is an older word for `all`. */
      strategy: z.enum(strategyNames).optional(),
      /** First share of a canary whose `rollout` names no steps, 0 to 1. */
      weight: z.number().gt(0).lte(1).optional(),
      /** As `rollout:` in espalier.yaml. */
      rollout: rolloutSettingsSchema.optional(),
      captureRate: z.number().min(0).max(1).optional(),
      gate: z.literal("none").optional(),
    }),
    response: z.object({ endpoint: endpointSchema, rollout: rolloutSchema.optional(), unchanged: z.boolean() }),
  },
  "endpoints.rollback": {
    method: "POST",
    path: `${apiPrefix}/endpoints/:name/rollback`,
    role: "editor",
    kind: "json",
    summary: "Serves again what was served before the last rollout",
    params: named,
    body: z.strictObject({ reason: z.string().max(2000).optional() }).optional(),
    response: z.object({ endpoint: endpointSchema, rollout: rolloutSchema.optional(), unchanged: z.boolean() }),
  },
  "endpoints.predict": {
    method: "POST",
    path: `${apiPrefix}/endpoints/:name/predict`,
    role: "viewer",
    kind: "json",
    summary: "Passes an Open Inference Protocol V2 or MLflow `/invocations` request on to the endpoint",
    params: named,
    query: z.object({
      version: z.string().optional(),
      protocol: z.enum(["v2", "invocations"]).default("invocations"),
    }),
    body: jsonSchema,
    response: jsonSchema,
  },
  "endpoints.delete": {
    method: "DELETE",
    path: `${apiPrefix}/endpoints/:name`,
    role: "editor",
    kind: "json",
    summary: "Stops serving; its history stays",
    params: named,
    response: doneSchema,
  },
  "endpoints.history": {
    method: "GET",
    path: `${apiPrefix}/endpoints/:name/history`,
    role: "viewer",
    kind: "json",
    summary: "Every change of an endpoint, newest first: who, when, why, what; also after it was deleted",
    params: named,
    query: z.object(pageQuery),
    response: pageOf(endpointChangeSchema),
  },
  "endpoints.rollouts": {
    method: "GET",
    path: `${apiPrefix}/endpoints/:name/rollouts`,
    role: "viewer",
    kind: "json",
    summary: "Rollouts of an endpoint, newest first",
    params: named,
    query: z.object(pageQuery),
    response: pageOf(rolloutSchema),
  },
  "rollouts.advance": {
    method: "POST",
    path: `${apiPrefix}/rollouts/:rolloutId/advance`,
    role: "editor",
    kind: "json",
    summary: "Takes the next look at a canary now",
    params: z.object({ rolloutId: z.string() }),
    body: emptyBody,
    response: rolloutSchema,
  },
});
