import { nameSchema, parameterSchema, scheduleSchema } from "@espalier/core";
import { z } from "zod";
import { apiPrefix, dateSchema, defineRoutes, emptyBody, pageOf, pageQuery } from "../route.ts";

export const scheduleInfoSchema = z.object({
  pipeline: z.string(),
  schedule: scheduleSchema,
  paused: z.boolean(),
  /** ISO 8601. */
  next: z.string().optional(),
  lastDue: z.string().optional(),
  lastRunId: z.string().optional(),
});
export type ScheduleInfo = z.infer<typeof scheduleInfoSchema>;

const piped = z.object({ pipeline: nameSchema });

export const scheduleRoutes = defineRoutes({
  "schedules.list": {
    method: "GET",
    path: `${apiPrefix}/schedules`,
    role: "viewer",
    kind: "json",
    summary: "Schedules of the project's pipelines",
    query: z.object(pageQuery),
    response: pageOf(scheduleInfoSchema),
  },
  "schedules.pause": {
    method: "POST",
    path: `${apiPrefix}/schedules/:pipeline/pause`,
    role: "editor",
    kind: "json",
    summary: "No firing until it is resumed",
    params: piped,
    body: emptyBody,
    response: scheduleInfoSchema,
  },
  "schedules.resume": {
    method: "POST",
    path: `${apiPrefix}/schedules/:pipeline/resume`,
    role: "editor",
    kind: "json",
    summary: "Fires again; with catch-up, what was missed too",
    params: piped,
    body: emptyBody,
    response: scheduleInfoSchema,
  },
  "schedules.backfill": {
    method: "POST",
    path: `${apiPrefix}/schedules/:pipeline/backfill`,
    role: "editor",
    kind: "json",
    summary: "One run for each due instant from (inclusive) to (exclusive); those that were run already are left out",
    params: piped,
    body: z.strictObject({
      from: dateSchema,
      to: dateSchema,
      params: z.record(z.string(), parameterSchema).optional(),
      stack: z.string().optional(),
    }),
    response: z.object({ runs: z.array(z.object({ due: z.string(), runId: z.string(), created: z.boolean() })) }),
  },
});
