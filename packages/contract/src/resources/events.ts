import { z } from "zod";
import { apiPrefix, defineRoutes } from "../route.ts";

/** What may have changed, as pages show it. `changes`: anything that the audit trail tells of. */
export const changeTopics = ["runs", "data", "models", "endpoints", "monitoring", "changes"] as const;
export const changeTopicSchema = z.enum(changeTopics);
export type ChangeTopic = z.infer<typeof changeTopicSchema>;

export const changeEventSchema = z.object({
  /** What differs from the state that the event before, or `Last-Event-ID`, stands for; empty in the first of a new stream. */
  changed: z.array(changeTopicSchema),
});
export type ChangeEvent = z.infer<typeof changeEventSchema>;

export const eventRoutes = defineRoutes({
  "events.stream": {
    method: "GET",
    path: `${apiPrefix}/events/stream`,
    role: "viewer",
    kind: "events",
    summary:
      "What changed, without end: topics to ask again. `Last-Event-ID` (or `after`) tells at once what changed since, also after a restart",
    query: z.object({ after: z.string().max(500).optional().describe("Id of the last event, as `Last-Event-ID`") }),
    response: changeEventSchema,
  },
});
