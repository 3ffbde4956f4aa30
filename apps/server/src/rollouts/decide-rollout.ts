import type { EndpointSpec, EndpointStatus, ServedVersion } from "@espalier/core";
import { agreementCheck, errorCheck, latencyCheck, metricCheck, shiftCheck } from "./checks.ts";
import { candidateCounts, isStatusOf, shadowOf, shadowSince, since, stableCounts, stableInStep } from "./counts.ts";
import type { Check, Counts, Evidence, RolloutAction, RolloutPlan, RolloutProgress } from "./rollout-plan.ts";
import { keptVersions, stableVersions, versionsAt } from "./rollout-versions.ts";

/** Pure decisions of a rollout: state in, action out. Times in milliseconds since the epoch. */

/** The first action of a rollout: the new version at its first share. Without a version before it, at 1. */
export function beginRollout(
  given: RolloutPlan,
  before: EndpointSpec | undefined,
  candidate: ServedVersion,
  status: EndpointStatus | undefined,
  now: number,
): RolloutAction {
  const isFirst = before === undefined || before.versions.length === 0;
  const plan: RolloutPlan = isFirst
    ? { ...given, strategy: "all", weights: [1], minimumRequests: 0, minimumSeconds: 0 }
    : given;
  const stable = stableCounts(status, candidate);
  const progress: RolloutProgress = {
    plan,
    before,
    candidate,
    step: 0,
    stepStartedAt: now,
    candidateAtStart: candidateCounts(status, candidate),
    stableAtStart: stable,
    stableAtRollout: stable,
    shadowAtStart: shadowOf(status, candidate),
    looked: 0,
    analyses: [],
  };
  const weight = plan.weights[0] ?? 1;
  const share =
    plan.strategy === "shadow"
      ? `${percent(plan.mirror)} of the requests, as a shadow`
      : `${percent(weight)} of the traffic`;
  return {
    kind: "apply",
    versions: versionsAt(progress, weight),
    weight,
    progress,
    reason: `Version ${candidate.version} begins with ${share}`,
  };
}

interface Seen {
  answered: Counts;
  stable: Counts;
  /** Share of the step's requests and time that has passed, 0 to 1. */
  share: number;
  checks: Check[];
}

/** What evidence the next decision needs: looked for only when the rest of the step is done, since it costs a scan of the capture. */
export function neededEvidence(
  progress: RolloutProgress,
  status: EndpointStatus | undefined,
  now: number,
): "smoke" | "traffic" | undefined {
  const { plan, candidate } = progress;
  if (!status?.versions.some((seen) => isStatusOf(candidate, seen) && seen.ready)) return undefined;
  if (plan.strategy === "blue-green" && plan.weights[progress.step] === 0) return "smoke";
  if (plan.strategy === "shadow" || plan.minimumRequests === 0) return undefined;
  return look(progress, status, now).share >= 1 ? "traffic" : undefined;
}

/** What to do next with a rollout under way, given what the deployer sees and what was found out. */
export function decideRollout(
  progress: RolloutProgress,
  status: EndpointStatus | undefined,
  now: number,
  evidence: Evidence = {},
): RolloutAction {
  const { plan, candidate } = progress;
  const version = status?.versions.find((seen) => isStatusOf(candidate, seen));
  if (version === undefined || !version.ready) return waitForReadiness(progress, version?.message, now);
  const { unreadySince: _ready, ...current } = progress;
  const weight = plan.weights[progress.step] ?? 1;
  if (plan.strategy === "blue-green" && weight === 0) return judgeSmoke(current, status, now, evidence.smoke);
  const seen = look(progress, status, now);
  if (plan.minimumRequests === 0 && plan.minimumSeconds === 0)
    return advance(current, { ...seen, checks: [] }, status, now, "it is ready");

  const found = [shiftCheck(plan, evidence.shift), metricCheck(plan, evidence.metric)];
  seen.checks.push(...found.filter((check) => check !== undefined));
  const failed = seen.checks.find(({ outcome }) => outcome === "fail");
  if (failed !== undefined && (failed.name !== "agreement" || seen.share >= 1)) {
    return rollBack(current, seen, now, failed.reason);
  }
  const missing =
    plan.metric !== null && !seen.checks.some(({ name, outcome }) => name === "metric" && outcome !== "unknown");
  if (seen.share >= 1 && !missing) {
    return advance(current, seen, status, now, seen.checks.map(({ reason }) => reason).join(" "));
  }
  const waited = (now - progress.stepStartedAt) / 1000;
  const counts = `${seen.answered.requests} of ${plan.minimumRequests} requests`;
  const reasons = seen.checks.filter(({ name, outcome }) => name !== "latency" || outcome !== "unknown");
  const why = `${counts} at ${percent(weight)}. ${reasons.map(({ reason }) => reason).join(" ")}`;
  if (waited >= Math.max(plan.quietSeconds, plan.minimumSeconds) && plan.whenQuiet !== "wait") {
    const reason = `${why} ${Math.round(waited)} s have passed.`;
    return plan.whenQuiet === "promote"
      ? advance(current, seen, status, now, reason)
      : rollBack(current, seen, now, reason);
  }
  return { kind: "wait", progress: { ...current, looked: Math.max(current.looked, seen.share) }, reason: why };
}

function look(progress: RolloutProgress, status: EndpointStatus | undefined, now: number): Seen {
  const { plan, candidate } = progress;
  const shadow = shadowSince(shadowOf(status, candidate), progress.shadowAtStart);
  const answered =
    plan.strategy === "shadow"
      ? { requests: shadow.mirrored, errors: shadow.failed, durations: [] }
      : since(candidateCounts(status, candidate), progress.candidateAtStart);
  const stable = stableInStep(progress, status, answered);
  const seconds = (now - progress.stepStartedAt) / 1000;
  const share = Math.min(
    1,
    plan.minimumRequests === 0 ? 1 : answered.requests / plan.minimumRequests,
    plan.minimumSeconds === 0 ? 1 : seconds / plan.minimumSeconds,
  );
  const given = { plan, candidate: answered, stable, share, lookedShare: progress.looked, isFresh: isFresh(progress) };
  const checks = [errorCheck(given), plan.strategy === "shadow" ? agreementCheck(plan, shadow) : latencyCheck(given)];
  return { answered, stable, share, checks: checks.filter((check) => check !== undefined) };
}

function isFresh({ plan, step }: RolloutProgress): boolean {
  return plan.weights.slice(0, step).every((weight) => weight === 0);
}

function judgeSmoke(
  progress: RolloutProgress,
  status: EndpointStatus | undefined,
  now: number,
  smoke: Check | undefined,
): RolloutAction {
  if (smoke === undefined) return { kind: "wait", progress, reason: "It is loaded and about to be tried" };
  const seen: Seen = { ...look(progress, status, now), share: 1, checks: [smoke] };
  if (smoke.outcome === "fail") return rollBack(progress, seen, now, smoke.reason);
  return advance(progress, seen, status, now, smoke.reason);
}

function waitForReadiness(progress: RolloutProgress, message: string | undefined, now: number): RolloutAction {
  const began = progress.unreadySince ?? now;
  const seconds = (now - began) / 1000;
  const why = message === undefined ? "" : `: ${message}`;
  if (seconds >= progress.plan.unreadySeconds) {
    const reason = `Version ${progress.candidate.version} was not ready for ${Math.round(seconds)} s${why}`;
    return rollBack(progress, undefined, now, reason);
  }
  return {
    kind: "wait",
    progress: { ...progress, unreadySince: began },
    reason: `Version ${progress.candidate.version} is not ready${why}`,
  };
}

function advance(
  progress: RolloutProgress,
  seen: Seen,
  status: EndpointStatus | undefined,
  now: number,
  why: string,
): RolloutAction {
  const { plan, candidate } = progress;
  const analysed = { ...progress, analyses: [...progress.analyses, analysis(progress, seen, now, "advanced")] };
  if (plan.strategy === "shadow") {
    return {
      kind: "succeed",
      versions: stableVersions(progress),
      progress: analysed,
      promoted: false,
      reason: `Version ${candidate.version} was a shadow: ${why}`,
    };
  }
  const step = progress.step + 1;
  const weight = plan.weights[step];
  if (weight === undefined) {
    return {
      kind: "succeed",
      versions: [...keptVersions(progress, now), { ...candidate, weight: 1 }],
      progress: analysed,
      promoted: true,
      reason: `Version ${candidate.version} has all traffic: ${why}`,
    };
  }
  const next: RolloutProgress = {
    ...analysed,
    step,
    stepStartedAt: now,
    candidateAtStart: candidateCounts(status, candidate),
    stableAtStart: stableCounts(status, candidate),
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
function rollBack(progress: RolloutProgress, seen: Seen | undefined, now: number, reason: string): RolloutAction {
  const versions = stableVersions(progress);
  const nothing: Seen = {
    answered: { requests: 0, errors: 0, durations: [] },
    stable: progress.stableAtStart,
    share: 0,
    checks: [],
  };
  const analyses = [...progress.analyses, analysis(progress, seen ?? nothing, now, "rolled back")];
  return {
    kind: "roll-back",
    versions: versions.length > 0 ? versions : [{ ...progress.candidate, weight: 1 }],
    progress: { ...progress, analyses },
    reason,
  };
}

function analysis(progress: RolloutProgress, seen: Seen, now: number, outcome: "advanced" | "rolled back") {
  return {
    step: progress.step,
    weight: progress.plan.weights[progress.step] ?? 1,
    startedAt: progress.stepStartedAt,
    endedAt: now,
    requests: seen.answered.requests,
    errors: seen.answered.errors,
    outcome,
    checks: seen.checks,
  };
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(2))} %`;
}
