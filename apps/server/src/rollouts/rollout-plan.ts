import type { EndpointSpec, ServedVersion } from "@espalier/core";
import { z } from "zod";

/** direct: all traffic at once. canary: a growing share. blue-green: loaded without traffic, then all traffic, the old one kept warm. */
const rolloutStrategySchema = z.enum(["direct", "canary", "blue-green"]);
export type RolloutStrategy = z.infer<typeof rolloutStrategySchema>;

const rolloutPlanSchema = z.strictObject({
  strategy: rolloutStrategySchema,
  /** Shares of the new version, growing, the last one 1. */
  weights: z.array(z.number().min(0).max(1)).min(1),
  /** Requests that the new version must answer at each share, and again at 1, before the next step. */
  minimumRequests: z.int().nonnegative(),
  /** Share of failures (5xx) by which the new version may be above the old one. */
  margin: z.number().min(0).max(1),
  /** Probability that a sound version is rolled back in one step; the looks of a step share it. */
  alpha: z.number().gt(0).lt(1),
  /** A new version that is not ready for this long is rolled back. */
  unreadySeconds: z.number().positive(),
  /** A step that lasts longer without `minimumRequests`, of an endpoint with little traffic, ... */
  quietSeconds: z.number().positive(),
  /** ... waits on, goes on, or rolls back. */
  whenQuiet: z.enum(["wait", "promote", "roll-back"]),
});
export type RolloutPlan = z.infer<typeof rolloutPlanSchema>;

/** `firstWeight` is a canary's first share; it then grows to a half and to all. */
export function rolloutPlan(
  strategy: RolloutStrategy,
  options: { firstWeight?: number } & Partial<Omit<RolloutPlan, "strategy" | "weights">> = {},
): RolloutPlan {
  const { firstWeight = 0.1, ...rest } = options;
  const canary = [firstWeight, 0.5, 1].filter((weight, index) => index === 0 || weight > firstWeight);
  const weights = { direct: [1], canary, "blue-green": [0, 1] }[strategy];
  return {
    strategy,
    weights,
    minimumRequests: strategy === "direct" ? 0 : 100,
    margin: 0.01,
    alpha: 0.01,
    unreadySeconds: 120,
    quietSeconds: 3600,
    whenQuiet: "wait",
    ...rest,
  };
}

export interface Counts {
  requests: number;
  errors: number;
}

/** All that a rollout must remember to go on after a restart; JSON. */
export interface RolloutProgress {
  plan: RolloutPlan;
  /** What was in force before; rolling back applies its versions. */
  before: EndpointSpec | undefined;
  candidate: ServedVersion;
  /** Index in `plan.weights`. */
  step: number;
  stepStartedAt: number;
  /** Counts when the step began, of the new version and of all others together. */
  candidateAtStart: Counts;
  stableAtStart: Counts;
  /** Counts of the others when the rollout began: the comparison once they have no traffic. */
  stableAtRollout: Counts;
  /** Requests of the new version in this step at the look before. */
  looked: number;
  unreadySince?: number;
}

export type RolloutAction =
  /** Apply these versions as the next generation, and remember the progress. */
  | { kind: "apply"; versions: ServedVersion[]; weight: number; progress: RolloutProgress; reason: string }
  | { kind: "wait"; progress: RolloutProgress; reason: string }
  /** Apply these versions, which end the rollout. */
  | { kind: "succeed"; versions: ServedVersion[]; reason: string }
  | { kind: "roll-back"; versions: ServedVersion[]; reason: string };
