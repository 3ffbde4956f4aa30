import { z } from "zod";
import { type ResampledMetric, resampledMetrics } from "../gate/metrics.ts";

/**
 * all: every request at once. canary: a growing share. blue-green: loaded and tried without traffic, then all of it, the old version kept
 * for a while. shadow: asked the same as the version that answers, and compared; it gets no traffic.
 */
export const rolloutStrategies = ["all", "canary", "blue-green", "shadow"] as const;
export type RolloutStrategy = (typeof rolloutStrategies)[number];

/** As users write it: `direct` is an older word for `all`. */
export const strategyNames = [...rolloutStrategies, "direct"] as const;

export function strategyOf(name: (typeof strategyNames)[number]): RolloutStrategy {
  return name === "direct" ? "all" : name;
}

const metricNames = Object.keys(resampledMetrics) as [ResampledMetric, ...ResampledMetric[]];
const share = z.number().min(0).max(1);

/** How a new version takes over, and what takes it back. `rollout:` of an endpoint, of a `deploy` step, and of the API. */
export const rolloutSettingsSchema = z.strictObject({
  steps: z
    .array(z.number().gt(0).lte(1))
    .min(1)
    .max(20)
    .refine((steps) => steps.every((step, index) => index === 0 || step > (steps[index - 1] ?? 0)), "steps must grow")
    .optional()
    .describe("Shares of traffic of a canary, growing; 1 is added at the end. Left out: 0.1, 0.5, 1."),
  minimum_requests: z
    .int()
    .nonnegative()
    .optional()
    .describe("Requests that the new version must answer at each step; 100."),
  minimum_seconds: z.number().nonnegative().optional().describe("Least length of a step; 0."),
  error_margin: share
    .optional()
    .describe("Share of failures (5xx) by which the new version may be above the old one; 0.01."),
  latency_ratio: z
    .number()
    .min(1)
    .nullable()
    .optional()
    .describe("Times the old version's p99, beyond which the new one's may not lie; 2. null: not judged."),
  latency_floor_seconds: z
    .number()
    .nonnegative()
    .optional()
    .describe("A p99 less than this above the old one's is never too slow; 0.05."),
  shift_limit: z
    .number()
    .positive()
    .nullable()
    .optional()
    .describe("Largest PSI between the captured scores of both versions. Left out or null: reported, not judged."),
  metric: z
    .strictObject({
      name: z.enum(metricNames),
      margin: z.number().nonnegative().describe("By how much the new version's metric may be worse."),
      minimum_labels: z.int().positive().optional().describe("Labels of each version that it needs; 200."),
    })
    .nullable()
    .optional()
    .describe("A metric over predictions whose labels have come. A step waits for enough of them."),
  minimum_agreement: share
    .nullable()
    .optional()
    .describe("Share of predictions in which a shadow must agree with the version that answers. null: not judged."),
  mirror: z.number().gt(0).lte(1).optional().describe("Share of requests that a shadow is asked; 1."),
  keep_seconds: z
    .number()
    .nonnegative()
    .optional()
    .describe("How long the old version stays loaded after the end; 600 for blue-green, else 0."),
  unready_seconds: z
    .number()
    .positive()
    .optional()
    .describe("A version that is not ready for so long is taken back; 120."),
  quiet_seconds: z
    .number()
    .positive()
    .optional()
    .describe("Length of a step without enough requests, after which ...; 3600."),
  when_quiet: z
    .enum(["wait", "promote", "roll-back"])
    .optional()
    .describe("... it waits on, goes on, or is taken back."),
});
export type RolloutSettings = z.infer<typeof rolloutSettingsSchema>;
