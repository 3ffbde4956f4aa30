import {
  canaryLook,
  type EndpointSpec,
  type EndpointStatus,
  type FailureCounts,
  type ServedVersion,
} from "@espalier/core";
import type { Counts, RolloutAction, RolloutPlan, RolloutProgress } from "./rollout-plan.ts";

/** Pure decisions of a rollout: state in, action out. Times in milliseconds since the epoch. */

const none: Counts = { requests: 0, errors: 0 };

/** The first action of a rollout: the new version at its first share. Without a version before it, at 1. */
export function beginRollout(
  given: RolloutPlan,
  before: EndpointSpec | undefined,
  candidate: ServedVersion,
  status: EndpointStatus | undefined,
  now: number,
): RolloutAction {
  const isFirst = before === undefined || before.versions.length === 0;
  const plan: RolloutPlan = isFirst ? { ...given, strategy: "direct", weights: [1], minimumRequests: 0 } : given;
  const stable = sumOf(status, (version) => version !== candidate.version);
  const progress: RolloutProgress = {
    plan,
    before,
    candidate,
    step: 0,
    stepStartedAt: now,
    candidateAtStart: sumOf(status, (version) => version === candidate.version),
    stableAtStart: stable,
    stableAtRollout: stable,
    looked: 0,
  };
  const weight = plan.weights[0] ?? 1;
  return {
    kind: "apply",
    versions: versionsAt(progress, weight),
    weight,
    progress,
    reason: `Version ${candidate.version} begins with ${percent(weight)} of the traffic`,
  };
}

/** What to do next with a rollout under way, given what the deployer sees. */
export function decideRollout(
  progress: RolloutProgress,
  status: EndpointStatus | undefined,
  now: number,
): RolloutAction {
  const { plan, candidate } = progress;
  const seen = status?.versions.find(({ version }) => version === candidate.version);
  if (seen === undefined || !seen.ready) return waitForReadiness(progress, seen?.message, now);
  const { unreadySince: _ready, ...current } = progress;
  const weight = plan.weights[progress.step] ?? 1;
  const answered = since(
    sumOf(status, (version) => version === candidate.version),
    progress.candidateAtStart,
  );
  if (weight === 0 || plan.minimumRequests === 0) return advance(current, status, now, "it is ready");

  const look = canaryLook({
    canary: { failed: answered.errors, total: answered.requests },
    stable: stableCounts(progress, status, answered),
    plannedTotal: plan.minimumRequests,
    previousTotal: progress.looked,
    alpha: plan.alpha,
    margin: plan.margin,
    // A broken version fails from its first request on; spending evenly finds that early.
    spending: "pocock",
  });
  if (look.decision === "stop") return rollBack(current, look.reason);
  if (look.decision === "finish") return advance(current, status, now, look.reason);
  const waited = (now - progress.stepStartedAt) / 1000;
  if (waited >= plan.quietSeconds && plan.whenQuiet !== "wait") {
    const reason = `${answered.requests} of ${plan.minimumRequests} requests came in ${Math.round(waited)} s`;
    return plan.whenQuiet === "promote" ? advance(current, status, now, reason) : rollBack(current, reason);
  }
  return {
    kind: "wait",
    progress: { ...current, looked: answered.requests },
    reason: `${answered.requests} of ${plan.minimumRequests} requests at ${percent(weight)}. ${look.reason}`,
  };
}

function waitForReadiness(progress: RolloutProgress, message: string | undefined, now: number): RolloutAction {
  const since = progress.unreadySince ?? now;
  const seconds = (now - since) / 1000;
  const why = message === undefined ? "" : `: ${message}`;
  if (seconds >= progress.plan.unreadySeconds) {
    return rollBack(progress, `Version ${progress.candidate.version} was not ready for ${Math.round(seconds)} s${why}`);
  }
  return {
    kind: "wait",
    progress: { ...progress, unreadySince: since },
    reason: `Version ${progress.candidate.version} is not ready${why}`,
  };
}

function advance(
  progress: RolloutProgress,
  status: EndpointStatus | undefined,
  now: number,
  why: string,
): RolloutAction {
  const { plan, candidate } = progress;
  const step = progress.step + 1;
  const weight = plan.weights[step];
  if (weight === undefined) {
    return {
      kind: "succeed",
      versions: [{ ...candidate, weight: 1 }],
      reason: `Version ${candidate.version} has all traffic: ${why}`,
    };
  }
  const next: RolloutProgress = {
    ...progress,
    step,
    stepStartedAt: now,
    candidateAtStart: sumOf(status, (version) => version === candidate.version),
    stableAtStart: sumOf(status, (version) => version !== candidate.version),
    looked: 0,
  };
  return {
    kind: "apply",
    versions: versionsAt(next, weight),
    weight,
    progress: next,
    reason: `Version ${candidate.version} goes on to ${percent(weight)}: ${why}`,
  };
}

/** Without a version before there is nothing to go back to, and the new one stays. */
function rollBack(progress: RolloutProgress, reason: string): RolloutAction {
  const versions = stableVersions(progress);
  return {
    kind: "roll-back",
    versions: versions.length > 0 ? versions : [{ ...progress.candidate, weight: 1 }],
    reason,
  };
}

/** What served before, its weights scaled to sum 1 without the candidate. */
function stableVersions({ before, candidate }: RolloutProgress): ServedVersion[] {
  const others = (before?.versions ?? []).filter(
    (version) => version.digest !== candidate.digest && version.weight > 0,
  );
  const sum = others.reduce((total, { weight }) => total + weight, 0);
  return others.map((version) => ({ ...version, weight: version.weight / sum }));
}

/** The candidate comes last, so that callers with a key who have it keep it as its share grows. At 1 the others stay loaded. */
function versionsAt(progress: RolloutProgress, weight: number): ServedVersion[] {
  const others = stableVersions(progress);
  if (others.length === 0) return [{ ...progress.candidate, weight: 1 }];
  return [
    ...others.map((version) => ({ ...version, weight: version.weight * (1 - weight) })),
    { ...progress.candidate, weight },
  ];
}

/** In this step; since the rollout began when they have no traffic now; without any, a version that never fails. */
function stableCounts(progress: RolloutProgress, status: EndpointStatus | undefined, answered: Counts): FailureCounts {
  const now = sumOf(status, (version) => version !== progress.candidate.version);
  for (const start of [progress.stableAtStart, progress.stableAtRollout, none]) {
    const counts = since(now, start);
    if (counts.requests > 0) return { failed: counts.errors, total: counts.requests };
  }
  return { failed: 0, total: Math.max(1, answered.requests) };
}

function sumOf(status: EndpointStatus | undefined, wanted: (version: string) => boolean): Counts {
  const versions = (status?.versions ?? []).filter(({ version }) => wanted(version));
  return versions.reduce(
    (sum, { requests, errors }) => ({ requests: sum.requests + requests, errors: sum.errors + errors }),
    none,
  );
}

/** Counts begin anew with a router's process: when they have shrunk, all of them are new. */
function since(now: Counts, start: Counts): Counts {
  if (now.requests < start.requests || now.errors < start.errors) return now;
  return { requests: now.requests - start.requests, errors: now.errors - start.errors };
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(2))} %`;
}
