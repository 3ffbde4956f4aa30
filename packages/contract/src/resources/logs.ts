import { z } from "zod";
import { apiPrefix, defineRoutes } from "../route.ts";

export const logChunkSchema = z.object({
  attemptId: z.string(),
  /** UTF-8; bytes that are not become U+FFFD. Secrets are masked. */
  text: z.string(),
  /** Byte offset to ask for next. */
  next: z.number(),
  /** true: the attempt is over and nothing follows. */
  ended: z.boolean(),
});
export type LogChunk = z.infer<typeof logChunkSchema>;

const params = z.object({ runId: z.string().min(1).max(64), step: z.string() });
const which = {
  branch: z.coerce.number().int().default(-1),
  /** Number of the attempt, from 1; left out means the newest. */
  attempt: z.coerce.number().int().min(1).optional(),
};

export const logRoutes = defineRoutes({
  "logs.get": {
    method: "GET",
    path: `${apiPrefix}/runs/:runId/steps/:step/logs`,
    role: "viewer",
    kind: "json",
    summary: "At most 1 MiB of a step's log from a byte offset on; a negative offset counts from the end",
    params,
    query: z.object({ ...which, offset: z.coerce.number().int().default(0) }),
    response: logChunkSchema,
  },
  "logs.follow": {
    method: "GET",
    path: `${apiPrefix}/runs/:runId/steps/:step/logs/follow`,
    role: "viewer",
    kind: "events",
    summary: "A step's log as it grows, over all its attempts; `Last-Event-ID` resumes",
    params,
    query: z.object({ ...which, offset: z.coerce.number().int().min(0).optional() }),
    response: logChunkSchema,
  },
});
