import { jsonSchema, nameSchema, parameterSchema } from "@espalier/core";
import { z } from "zod";
import { apiPrefix, dateSchema, defineRoutes, digestSchema } from "../route.ts";
import { runOptionsSchema } from "./runs.ts";

const problemSchema = z.object({
  code: z.string(),
  message: z.string(),
  at: z.string().optional(),
  hint: z.string().optional(),
});

export const planSchema = z.object({
  pipeline: z.string(),
  digest: digestSchema,
  stack: z.string(),
  params: z.record(z.string(), parameterSchema),
  steps: z.array(
    z.object({
      step: z.string(),
      /** Built-in name, or `run`. */
      what: z.string(),
      needs: z.array(z.string()),
      compute: z.string().optional(),
      tool: z.string(),
      /** `unknown`: decided by what earlier steps will give. */
      action: z.enum(["run", "cached", "skip", "unknown"]),
      reason: z.string().optional(),
      /** Median of its newest executions; absent: it never ran. */
      expectedSeconds: z.number().optional(),
      /** How many executions that is of. */
      expectedFrom: z.number().optional(),
      /** Of a step elsewhere: how its files get there and back. */
      route: z.string().optional(),
      /** Of a step elsewhere: inputs that are known before the run. */
      inputBytes: z.number().optional(),
    }),
  ),
  forecast: z.object({
    /** Along the longest path of what would run. */
    seconds: z.number(),
    /** Would run, and never ran: the forecast is without them. */
    unknownSteps: z.array(z.string()),
    dollars: z.number(),
    unpricedSteps: z.array(z.string()),
  }),
  /** What a chosen tool can not do; `fallback`: what is done instead. */
  gaps: z.array(z.object({ tool: z.string(), what: z.string(), fallback: z.string().optional() })),
  /** What the tools' services must allow. */
  permissions: z.array(z.object({ tool: z.string(), component: z.string(), needs: z.array(z.string()) })),
  /** Faults found before anything runs; empty means that the run can start. */
  problems: z.array(problemSchema),
});
export type Plan = z.infer<typeof planSchema>;

/** What lies between one declared endpoint and what is on record. */
export const endpointPlanSchema = z.object({
  name: z.string(),
  /** Where it is declared: `espalier.yaml:line:column`. Absent: it no longer is. */
  at: z.string().optional(),
  /**
   * `wait`: for a model's alias. `hold`: its version was tried and taken back, or replaced by hand, and stays so until it is applied again.
   * `remove`: no longer declared, and left alone unless `prune` is said.
   */
  action: z.enum(["create", "update", "none", "wait", "hold", "remove"]),
  /** As declared. */
  model: z.string().optional(),
  /** The takeover that is to be begun; `model@version`. */
  version: z.object({ from: z.string().optional(), to: z.string(), strategy: z.string() }).optional(),
  /** Settings that differ; null: not set. */
  changes: z.array(z.object({ field: z.string(), from: jsonSchema, to: jsonSchema })),
  reason: z.string().optional(),
  /** Why it can not be done as things are. */
  problem: problemSchema.optional(),
});
export type EndpointPlan = z.infer<typeof endpointPlanSchema>;

/** The same, and what came of it. `left`: no longer declared, and not stopped. */
export const appliedEndpointSchema = endpointPlanSchema.extend({
  outcome: z.enum(["done", "unchanged", "waiting", "held", "failed", "left"]),
});
export type AppliedEndpoint = z.infer<typeof appliedEndpointSchema>;

export const planRoutes = defineRoutes({
  "plan.make": {
    method: "POST",
    path: `${apiPrefix}/plan`,
    role: "viewer",
    kind: "json",
    summary: "What a run would do, and every fault that would stop it; nothing runs",
    body: z.strictObject({
      pipeline: z.string().min(1),
      params: z.record(z.string(), parameterSchema).optional(),
      stack: z.string().optional(),
      options: runOptionsSchema.optional(),
      logicalDate: dateSchema.optional(),
    }),
    response: planSchema,
  },
  "plan.endpoints": {
    method: "POST",
    path: `${apiPrefix}/plan/endpoints`,
    role: "viewer",
    kind: "json",
    summary: "What `apply` would do to the endpoints that espalier.yaml declares; nothing is started",
    body: z.strictObject({ names: z.array(nameSchema).max(1000).optional() }).optional(),
    response: z.object({ endpoints: z.array(endpointPlanSchema) }),
  },
});
