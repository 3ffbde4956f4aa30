import { parameterSchema } from "@espalier/core";
import { z } from "zod";
import { apiPrefix, dateSchema, defineRoutes, digestSchema } from "../route.ts";
import { runOptionsSchema } from "./runs.ts";

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
    }),
  ),
  /** Faults found before anything runs; empty means that the run can start. */
  problems: z.array(
    z.object({
      code: z.string(),
      message: z.string(),
      at: z.string().optional(),
      hint: z.string().optional(),
    }),
  ),
});
export type Plan = z.infer<typeof planSchema>;

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
});
