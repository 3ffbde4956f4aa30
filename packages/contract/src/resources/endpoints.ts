import { jsonSchema, nameSchema } from "@espalier/core";
import { z } from "zod";
import { apiPrefix, defineRoutes, doneSchema, emptyBody, instantSchema, pageOf, pageQuery } from "../route.ts";
import { modelNameSchema } from "./models.ts";

export const strategySchema = z.enum(["direct", "canary"]);

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
      message: z.string().optional(),
    }),
  ),
  captureRate: z.number(),
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
  startedAt: instantSchema,
  finishedAt: instantSchema.optional(),
});
export type Rollout = z.infer<typeof rolloutSchema>;

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
      strategy: strategySchema.optional(),
      /** First share of a canary, 0 to 1. */
      weight: z.number().gt(0).lte(1).optional(),
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
