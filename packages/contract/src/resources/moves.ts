import { z } from "zod";
import { apiPrefix, defineRoutes, instantSchema } from "../route.ts";

const count = z.number();
const bytes = z.number();
const stack = z.string().min(1).max(200);

/** What lies between two stacks, before anything is moved. */
const movePlanSchema = z.object({
  from: z.string(),
  to: z.string(),
  /** Both keep their artifacts in one place: there is nothing to carry. */
  sameStore: z.boolean(),
  /** Artifacts that the record refers to, each once. */
  artifacts: count,
  bytes,
  /** Of these, that the target does not have. Bytes are an upper bound: equal files of different trees go once. */
  missing: z.object({ artifacts: count, bytes }),
  /** Of the target, where it is a folder. */
  freeBytes: bytes.optional(),
  /** What keeping all of it there costs, by the tool's manifest; absent: it does not say. */
  dollarsAMonth: z.number().optional(),
  /** Seconds that carrying it may take, and the speeds that were taken for it. Absent: nothing is carried. */
  time: z.object({ low: z.number(), high: z.number(), assumed: z.string() }).optional(),
  /** What stays to be done by hand, and how. */
  remaining: z.array(z.string()),
  /** Why it can not be done as things are. */
  problems: z.array(
    z.object({ code: z.string(), message: z.string(), at: z.string().optional(), hint: z.string().optional() }),
  ),
});
export type MovePlan = z.infer<typeof movePlanSchema>;

const moveSchema = z.object({
  id: z.string(),
  from: z.string(),
  to: z.string(),
  /** damaged: some of it could not be carried, or did not read back as what it is; `failures` and `damaged` name it. */
  state: z.enum(["running", "done", "damaged", "failed"]),
  phase: z.string(),
  /** Artifacts looked at; of those, that were there; objects and bytes that went over. */
  artifacts: count,
  held: count,
  objects: count,
  bytes,
  failed: count,
  failures: z.array(z.object({ digest: z.string(), type: z.string(), code: z.string(), message: z.string() })),
  /** Objects that were read back from the target and hashed. */
  verified: count,
  damaged: z.array(z.string()),
  error: z
    .looseObject({ code: z.string(), message: z.string(), at: z.string().optional(), hint: z.string().optional() })
    .optional(),
  startedBy: z.string(),
  startedAt: instantSchema,
  finishedAt: instantSchema.optional(),
});
export type Move = z.infer<typeof moveSchema>;

const identified = z.object({ moveId: z.string() });

export const moveRoutes = defineRoutes({
  "moves.plan": {
    method: "GET",
    path: `${apiPrefix}/moves/plan`,
    role: "viewer",
    kind: "json",
    summary: "What lies between two stacks: artifacts and bytes to carry, and what stays to be done; nothing is moved",
    query: z.object({ from: stack, to: stack }),
    response: movePlanSchema,
  },
  "moves.start": {
    method: "POST",
    path: `${apiPrefix}/moves`,
    role: "admin",
    kind: "json",
    summary: "Carries what the record refers to from one stack's store to another's; the same request again goes on",
    body: z.strictObject({
      from: stack,
      to: stack,
      /** How much is read back and hashed at the end. */
      verify: z.enum(["sample", "all"]).default("sample"),
    }),
    response: moveSchema,
  },
  "moves.get": {
    method: "GET",
    path: `${apiPrefix}/moves/:moveId`,
    role: "viewer",
    kind: "json",
    summary: "One move",
    params: identified,
    response: moveSchema,
  },
  "moves.events": {
    method: "GET",
    path: `${apiPrefix}/moves/:moveId/events`,
    role: "viewer",
    kind: "events",
    summary: "The move after each change, until it ends",
    params: identified,
    response: moveSchema,
  },
});
