import { jsonSchema, nameSchema } from "@espalier/core";
import { z } from "zod";
import { apiPrefix, dateSchema, defineRoutes, instantSchema, pageOf, pageQuery } from "../route.ts";

export const monitorSchema = z.object({
  name: z.string(),
  endpoint: z.string(),
  /** `drift`, `performance`, `quality`, ... */
  kind: z.string(),
  windowDays: z.number(),
  enabled: z.boolean(),
  lastReport: z.object({ asOf: z.string(), status: z.string() }).optional(),
  /** As written in the project. */
  config: jsonSchema,
});
export type Monitor = z.infer<typeof monitorSchema>;

export const monitorReportSchema = z.object({
  id: z.string(),
  monitor: z.string(),
  endpoint: z.string(),
  asOf: z.string(),
  windowFrom: z.string(),
  windowTo: z.string(),
  /** `insufficient`: too few rows to say. */
  status: z.enum(["ok", "alert", "insufficient"]),
  /** One sentence: which threshold, which value. */
  summary: z.string(),
  rows: z.number(),
  createdAt: instantSchema,
  /** The run that the alert started. */
  triggeredRunId: z.string().optional(),
  results: jsonSchema,
});
export type MonitorReport = z.infer<typeof monitorReportSchema>;

const named = z.object({ name: nameSchema });

export const monitorRoutes = defineRoutes({
  "monitors.list": {
    method: "GET",
    path: `${apiPrefix}/monitors`,
    role: "viewer",
    kind: "json",
    summary: "Monitors of the project",
    query: z.object(pageQuery),
    response: pageOf(monitorSchema),
  },
  "monitors.reports": {
    method: "GET",
    path: `${apiPrefix}/monitors/:name/reports`,
    role: "viewer",
    kind: "json",
    summary: "Reports of a monitor, newest first",
    params: named,
    query: z.object(pageQuery),
    response: pageOf(monitorReportSchema),
  },
  "monitors.run": {
    method: "POST",
    path: `${apiPrefix}/monitors/:name/run`,
    role: "editor",
    kind: "json",
    summary: "Judges the window that ends at `asOf` now",
    params: named,
    body: z.strictObject({ asOf: dateSchema.optional() }).optional(),
    response: monitorReportSchema,
  },
});
