import type {
  EndpointSpec,
  ResampledMetric,
  RolloutSettings,
  RolloutStrategy,
  ServedVersion,
  ShadowCounts,
} from "@espalier/core";

/** What a rollout does, all of it said. */
export interface RolloutPlan {
  strategy: RolloutStrategy;
  /** Shares of the new version, growing, the last one 1; a shadow has one step at 0. */
  weights: number[];
  /** Requests that the new version must answer at each share, and again at 1, before the next step. */
  minimumRequests: number;
  /** Least length of a step. */
  minimumSeconds: number;
  /** Share of failures (5xx) by which the new version may be above the old one. */
  margin: number;
  /** Probability that a sound version is rolled back in one step; the looks of a step share it. */
  alpha: number;
  /** Times the old version's p99 beyond which the new one's may not lie; null: not judged. */
  latencyRatio: number | null;
  /** Seconds by which the new p99 may always be above the old one. */
  latencyFloorSeconds: number;
  /** Largest PSI between the scores of both; null: reported only. */
  shiftLimit: number | null;
  /** A metric over labelled predictions, and by how much the new version's may be worse. */
  metric: { name: ResampledMetric; margin: number; minimumLabels: number } | null;
  /** Share of requests that a shadow is asked, and the share of its predictions that must agree. */
  mirror: number;
  minimumAgreement: number | null;
  /** How long the old version stays loaded after the end. */
  keepSeconds: number;
  /** A new version that is not ready for this long is rolled back. */
  unreadySeconds: number;
  /** A step that lasts longer without enough requests or labels, of an endpoint with little traffic, ... */
  quietSeconds: number;
  /** ... waits on, goes on, or rolls back. */
  whenQuiet: "wait" | "promote" | "roll-back";
}

const blueGreenKeepSeconds = 600;

/** `firstWeight` is a canary's first share where the settings name no steps; it then grows to a half and to all. */
export function rolloutPlan(strategy: RolloutStrategy, settings: RolloutSettings = {}, firstWeight = 0.1): RolloutPlan {
  const grown = [firstWeight, 0.5, 1].filter((weight, index) => index === 0 || weight > firstWeight);
  const steps = settings.steps ?? grown;
  const canary = steps.at(-1) === 1 ? steps : [...steps, 1];
  const weights = { all: [1], canary, "blue-green": [0, 1], shadow: [0] }[strategy];
  const { metric } = settings;
  return {
    strategy,
    weights,
    minimumRequests: settings.minimum_requests ?? (strategy === "all" ? 0 : 100),
    minimumSeconds: settings.minimum_seconds ?? 0,
    margin: settings.error_margin ?? 0.01,
    alpha: 0.01,
    latencyRatio: settings.latency_ratio === undefined ? 2 : settings.latency_ratio,
    latencyFloorSeconds: settings.latency_floor_seconds ?? 0.05,
    shiftLimit: settings.shift_limit ?? null,
    metric: metric ? { name: metric.name, margin: metric.margin, minimumLabels: metric.minimum_labels ?? 200 } : null,
    mirror: settings.mirror ?? 1,
    minimumAgreement: settings.minimum_agreement ?? null,
    keepSeconds: settings.keep_seconds ?? (strategy === "blue-green" ? blueGreenKeepSeconds : 0),
    unreadySeconds: settings.unready_seconds ?? 120,
    quietSeconds: settings.quiet_seconds ?? 3600,
    whenQuiet: settings.when_quiet ?? "wait",
  };
}

export interface Counts {
  requests: number;
  errors: number;
  /** By the buckets of `durationBounds`; empty where the deployer does not tell. */
  durations: number[];
}

/** What a shadow did in one step; the largest difference is of its whole life. */
export type ShadowSeen = ShadowCounts;

/** What one look at a step said about one thing. */
export interface Check {
  name: "errors" | "latency" | "shift" | "metric" | "agreement" | "smoke";
  /** unknown: too little was seen to say. */
  outcome: "pass" | "fail" | "unknown";
  reason: string;
  values?: Record<string, number | string | null>;
}

/** What was found at the end of a step, or when it was rolled back; kept in the rollout's history. */
export interface StepAnalysis {
  step: number;
  weight: number;
  /** Milliseconds since the epoch. */
  startedAt: number;
  endedAt: number;
  requests: number;
  errors: number;
  outcome: "advanced" | "rolled back";
  checks: Check[];
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
  /** A shadow's counts when the step began. */
  shadowAtStart?: ShadowSeen;
  /** Share of the step's information that the look before had: 0 at its beginning, 1 when nothing is missing. */
  looked: number;
  unreadySince?: number;
  /** Of the steps that are over. */
  analyses: StepAnalysis[];
}

export type RolloutAction =
  /** Apply these versions as the next generation, and remember the progress. */
  | { kind: "apply"; versions: ServedVersion[]; weight: number; progress: RolloutProgress; reason: string }
  | { kind: "wait"; progress: RolloutProgress; reason: string }
  /** Apply these versions, which end the rollout. `promoted`: the new version has the traffic now. */
  | { kind: "succeed"; versions: ServedVersion[]; progress: RolloutProgress; promoted: boolean; reason: string }
  | { kind: "roll-back"; versions: ServedVersion[]; progress: RolloutProgress; reason: string };

/** What the control plane found out beside the deployer's counts. */
export interface Evidence {
  /** Requests that were tried on the version while it had no traffic. */
  smoke?: Check;
  shift?: { psi: number; candidateRows: number; stableRows: number } | { reason: string };
  metric?: { candidate: MeasuredMetric | undefined; stable: MeasuredMetric | undefined } | { reason: string };
}

export interface MeasuredMetric {
  value: number | null;
  lower: number | null;
  upper: number | null;
  labels: number;
}
