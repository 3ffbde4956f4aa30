import { z } from "zod";
import { apiPrefix, defineRoutes, instantSchema } from "../route.ts";

const valueSchema = z.union([z.number(), z.enum(["Infinity", "-Infinity"])]);

/** One key of one attempt, cut into buckets of equal width: of each its lowest, highest and mean value, so that no peak is lost. */
export const curveSchema = z.object({
  step: z.string(),
  branch: z.number(),
  /** Of a cached step the attempt that it came from. */
  attemptId: z.string(),
  key: z.string(),
  /** All points, those that are not a number among them. */
  points: z.number(),
  notANumber: z.number(),
  /** What is cut into buckets: the training step, or the time where all points have the same step. */
  by: z.enum(["step", "time"]),
  /** In order; a bucket without points is left out. `from` and `to` are the first and last training step in it, `at` its first instant. */
  buckets: z.array(
    z.object({
      from: z.number(),
      to: z.number(),
      at: instantSchema,
      low: valueSchema,
      high: valueSchema,
      mean: valueSchema,
      points: z.number(),
    }),
  ),
});
export type Curve = z.infer<typeof curveSchema>;

export const curveRoutes = defineRoutes({
  "runs.curves": {
    method: "GET",
    path: `${apiPrefix}/runs/:runId/curves`,
    role: "viewer",
    kind: "json",
    summary:
      "Metrics of a run for charts: each curve in at most so many buckets, with the lowest and highest value of each",
    params: z.object({ runId: z.string().min(1).max(64) }),
    query: z.object({
      step: z.string().optional(),
      branch: z.coerce.number().int().optional(),
      key: z.string().optional(),
      buckets: z.coerce.number().int().min(1).max(4000).default(400),
    }),
    /** At most 200 curves; `leftOut` is the number of the others. */
    response: z.object({ curves: z.array(curveSchema), leftOut: z.number() }),
  },
});
