import { durationPattern, jsonSchema, nameSchema } from "@espalier/core";
import { z } from "zod";

/** One monitor of `monitors:` in espalier.yaml. What a kind takes under `with:` and `thresholds:` is its own business. */
export const monitorSchema = z.strictObject({
  endpoint: nameSchema
    .optional()
    .describe("The endpoint whose traffic is watched; left out, the one whose `monitors:` names this one."),
  kind: z.enum(["drift", "performance", "quality", "service"]).describe("What is watched."),
  window: z
    .string()
    .regex(durationPattern, "a window is a duration such as `7d`")
    .optional()
    .describe("How much traffic one report judges, such as `7d`."),
  enabled: z.boolean().optional(),
  thresholds: z.record(z.string(), jsonSchema).optional().describe("Fixed beforehand; crossing one is an alert."),
  pipeline: nameSchema.optional().describe("The pipeline that an alert starts."),
  params: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
    .optional()
    .describe("Its parameters."),
  with: z.record(z.string(), jsonSchema).optional().describe("Settings of the kind."),
});
export type MonitorDeclaration = z.infer<typeof monitorSchema>;

/** With its endpoint, whichever of the two places says it. */
export type MonitorConfig = MonitorDeclaration & { endpoint: string };
