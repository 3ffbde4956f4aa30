import { canaryLook, durationBounds, durationQuantile, lookAlpha, resampledMetrics, upperGamma } from "@espalier/core";
import type { Check, Counts, Evidence, RolloutPlan, ShadowSeen } from "./rollout-plan.ts";

/** What one look at a step says, one function a thing. Pure. */

interface Look {
  plan: RolloutPlan;
  /** In this step. */
  candidate: Counts;
  stable: Counts;
  /** Shares of the step's information at this look and at the one before, 0 to 1. */
  share: number;
  lookedShare: number;
  /** The first step with traffic. */
  isFresh?: boolean;
}

/** After the planned looks are done, a step that waits for something else still stops a version that fails beyond any doubt. */
const beyondDoubt = 1e-6;

export function errorCheck({ plan, candidate, stable, share, lookedShare }: Look): Check {
  if (candidate.requests === 0)
    return { name: "errors", outcome: "unknown", reason: "It has answered no request yet." };
  const planned = share <= 0 ? Number.MAX_SAFE_INTEGER : Math.max(1, candidate.requests) / share;
  const look = canaryLook({
    canary: { failed: candidate.errors, total: candidate.requests },
    stable: { failed: stable.errors, total: stable.requests },
    plannedTotal: planned,
    previousTotal: lookedShare * planned,
    alpha: plan.alpha,
    margin: plan.margin,
    // A broken version fails from its first request on; spending evenly finds that early.
    spending: "pocock",
  });
  const failed = look.decision === "stop" || look.pValue < beyondDoubt;
  return { name: "errors", outcome: failed ? "fail" : "pass", reason: look.reason };
}

/** Below these a p99 is a matter of chance. */
const leastStable = 200;
const leastCandidate = 50;
/** A process that has just begun answers its first requests late; those of the first step are forgiven. */
const freshRequests = 10;

/**
 * Whether more than one in a hundred requests of the new version are slower than the old one's p99 times the ratio allows: one-sided, by
 * the Poisson tail, with the error that this look may spend.
 */
export function latencyCheck({
  plan,
  candidate,
  stable,
  share,
  lookedShare,
  isFresh = false,
}: Look): Check | undefined {
  if (plan.latencyRatio === null) return undefined;
  const known = total(stable.durations);
  const seen = total(candidate.durations);
  if (known < leastStable || seen < leastCandidate) {
    return { name: "latency", outcome: "unknown", reason: `${seen} and ${known} durations are too few for a p99.` };
  }
  const before = durationQuantile(stable.durations, 0.99) ?? 0;
  const now = durationQuantile(candidate.durations, 0.99) ?? 0;
  const exact = Math.max(before * plan.latencyRatio, before + plan.latencyFloorSeconds);
  // Within a bucket nothing is known: the limit is the end of its bucket.
  const limit = durationBounds.find((bound) => bound >= exact) ?? exact;
  const slow = candidate.durations.reduce(
    (sum, count, index) => ((durationBounds[index - 1] ?? 0) >= limit ? sum + count : sum),
    0,
  );
  const counted = Math.max(0, slow - (isFresh ? freshRequests : 0));
  const pValue = counted === 0 ? 1 : 1 - upperGamma(counted, seen * 0.01);
  const alpha = Math.max(lookAlpha("pocock", plan.alpha, share, lookedShare), beyondDoubt);
  const fails = pValue < alpha;
  const told = `p99 is ${milliseconds(now)}, the old version's ${milliseconds(before)}, the limit ${milliseconds(limit)}`;
  return {
    name: "latency",
    outcome: fails ? "fail" : "pass",
    reason: fails ? `Too slow: ${told}; ${slow} of ${seen} requests lie beyond it.` : `Fast enough: ${told}.`,
    values: { p99Seconds: now, stableP99Seconds: before, limitSeconds: limit, slow },
  };
}

/** How far a shadow agrees with the version that answered, over the rows that both predicted. */
export function agreementCheck({ minimumAgreement }: RolloutPlan, seen: ShadowSeen): Check {
  const { compared, agreed, numbers, differenceSum, differenceLargest, dropped } = seen;
  if (compared === 0) {
    return { name: "agreement", outcome: "unknown", reason: "No prediction of both versions could be compared." };
  }
  const share = agreed / compared;
  const fails = minimumAgreement !== null && share < minimumAgreement;
  const distance =
    numbers === 0
      ? ""
      : `, mean difference ${(differenceSum / numbers).toPrecision(3)}, largest ${differenceLargest.toPrecision(3)}`;
  const held = minimumAgreement === null ? "" : `; at least ${percent(minimumAgreement)} must`;
  return {
    name: "agreement",
    outcome: fails ? "fail" : "pass",
    reason: `${percent(share)} of ${compared} predictions agree${distance}${held}. ${dropped} requests were not mirrored for lack of room.`,
    values: {
      compared,
      agreed,
      meanDifference: numbers === 0 ? null : differenceSum / numbers,
      differenceLargest,
      dropped,
    },
  };
}

export function shiftCheck({ shiftLimit }: RolloutPlan, shift: Evidence["shift"]): Check | undefined {
  if (shift === undefined) return undefined;
  if ("reason" in shift) return { name: "shift", outcome: "unknown", reason: shift.reason };
  const { psi, candidateRows, stableRows } = shift;
  const fails = shiftLimit !== null && psi >= shiftLimit;
  const held = shiftLimit === null ? "no limit is set" : `the limit is ${shiftLimit}`;
  return {
    name: "shift",
    outcome: fails ? "fail" : "pass",
    reason: `PSI of the scores is ${psi.toFixed(3)} over ${candidateRows} and ${stableRows} predictions; ${held}.`,
    values: { psi, candidateRows, stableRows, limit: shiftLimit },
  };
}

/** unknown also while labels are missing: the step waits for them. */
export function metricCheck({ metric }: RolloutPlan, found: Evidence["metric"]): Check | undefined {
  if (metric === null || found === undefined) return undefined;
  if ("reason" in found) return { name: "metric", outcome: "unknown", reason: found.reason };
  const { candidate, stable } = found;
  const labels = Math.min(candidate?.labels ?? 0, stable?.labels ?? 0);
  if (labels < metric.minimumLabels) {
    const counts = `${candidate?.labels ?? 0} and ${stable?.labels ?? 0}`;
    const reason = `${counts} labels have come for the new and the old version, ${metric.minimumLabels} are needed.`;
    return { name: "metric", outcome: "unknown", reason };
  }
  const higher = resampledMetrics[metric.name].direction === "higher";
  const limit = stable?.value == null ? null : stable.value + (higher ? -metric.margin : metric.margin);
  const best = higher ? candidate?.upper : candidate?.lower;
  if (limit === null || best == null) {
    return { name: "metric", outcome: "unknown", reason: `${metric.name} does not exist over these labels.` };
  }
  const fails = higher ? best < limit : best > limit;
  const interval = `${show(candidate?.value)} (${show(candidate?.lower)} to ${show(candidate?.upper)})`;
  return {
    name: "metric",
    outcome: fails ? "fail" : "pass",
    reason: `${metric.name} is ${interval}, the old version's ${show(stable?.value)}; ${fails ? "it lies beyond" : "not clearly beyond"} the margin of ${metric.margin}.`,
    values: { value: candidate?.value ?? null, stable: stable?.value ?? null, labels },
  };
}

function total(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(2))} %`;
}

function milliseconds(seconds: number): string {
  return `${Number((seconds * 1000).toPrecision(3))} ms`;
}

function show(value: number | null | undefined): string {
  return value == null ? "unknown" : value.toFixed(3);
}
