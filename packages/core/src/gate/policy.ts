import { z } from "zod";
import { type ResampledMetric, resampledMetrics } from "./metrics.ts";

const metricNames = Object.keys(resampledMetrics) as [ResampledMetric, ...ResampledMetric[]];

/** A gate's policy, as written in YAML. It is versioned with the project; its digest is part of the verdict. */
export const gatePolicySchema = z
  .strictObject({
    /** The column that holds the truth. Not needed when only a metrics document is judged. */
    target: z.string().optional(),
    /** The metric that decides. */
    metric: z.enum(metricNames).default("auc"),
    /** How much worse than the champion a candidate may be, in units of the metric. */
    margin: z.number().nonnegative().default(0),
    /** Of the two-sided interval. */
    confidence: z.number().gt(0.5).lt(1).default(0.95),
    /** Column (or SQL expression) whose values are resampled as wholes, such as the day; rows of one block are alike. */
    block: z.string().optional(),
    resamples: z.int().min(100).max(20_000).default(1000),
    seed: z.int().nonnegative().default(1),
    /** Fewer rows or blocks than this decide nothing: inconclusive. */
    min_rows: z.int().positive().default(100),
    min_blocks: z.int().positive().default(5),
    /** Scores at or above it count as positive. */
    threshold: z.number().min(0).max(1).default(0.5),
    slices: z
      .strictObject({
        columns: z.array(z.string()).min(1).max(20),
        /** Smaller slices are reported, never judged. */
        min_count: z.int().positive().default(500),
        /** How much worse than the champion a slice may be before it counts. */
        max_regression: z.number().nonnegative().default(0),
      })
      .optional(),
    /** Limits on the candidate alone, whatever the champion does, such as `auc: { min: 0.6 }`. */
    bounds: z
      .record(
        z.string(),
        z
          .strictObject({ min: z.number().optional(), max: z.number().optional() })
          .refine((bound) => bound.min !== undefined || bound.max !== undefined, "needs `min`, `max` or both"),
      )
      .default({}),
    /** What happens while there is no champion. baseline: the candidate must beat the constant prediction by `by`. */
    no_champion: z
      .strictObject({
        rule: z.enum(["baseline", "bounds", "pass", "refuse"]).default("baseline"),
        by: z.number().nonnegative().default(0),
      })
      .prefault({}),
    /** What an inconclusive comparison means. */
    inconclusive: z.enum(["pass", "fail"]).default("fail"),
  })
  .superRefine((policy, context) => {
    if (policy.no_champion.rule === "bounds" && Object.keys(policy.bounds).length === 0) {
      context.addIssue({
        code: "custom",
        path: ["bounds"],
        message: "`no_champion: { rule: bounds }` needs at least one bound",
      });
    }
  });
export type GatePolicy = z.infer<typeof gatePolicySchema>;
