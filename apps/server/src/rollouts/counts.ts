import type { EndpointStatus, ServedVersion, VersionStatus } from "@espalier/core";
import type { Counts, RolloutProgress, ShadowSeen } from "./rollout-plan.ts";

/** What a deployer counted, between two moments. */

const none: Counts = { requests: 0, errors: 0, durations: [] };

type Named = Pick<ServedVersion, "model" | "version">;

/** What the deployer says of a version; where it names no models, the number alone tells. */
export function isStatusOf(candidate: Named, seen: Pick<VersionStatus, "model" | "version">): boolean {
  return seen.version === candidate.version && (seen.model === undefined || seen.model === candidate.model);
}

export function candidateCounts(status: EndpointStatus | undefined, candidate: Named): Counts {
  return sumOf(status, (other) => isStatusOf(candidate, other));
}

export function stableCounts(status: EndpointStatus | undefined, candidate: Named): Counts {
  return sumOf(status, (other) => !isStatusOf(candidate, other));
}

/** The old versions in this step; since the rollout began when they have no traffic now; without any, a version that never fails. */
export function stableInStep(progress: RolloutProgress, status: EndpointStatus | undefined, answered: Counts): Counts {
  const now = stableCounts(status, progress.candidate);
  for (const start of [progress.stableAtStart, progress.stableAtRollout, none]) {
    const counts = since(now, start);
    if (counts.requests > 0) return counts;
  }
  return { requests: Math.max(1, answered.requests), errors: 0, durations: [] };
}

/** Counts begin anew with a router's process: when they have shrunk, all of them are new. */
export function since(now: Counts, start: Counts): Counts {
  if (now.requests < start.requests || now.errors < start.errors) return now;
  return {
    requests: now.requests - start.requests,
    errors: now.errors - start.errors,
    durations: now.durations.map((count, index) => Math.max(0, count - (start.durations?.[index] ?? 0))),
  };
}

const noShadow: ShadowSeen = {
  mirrored: 0,
  failed: 0,
  dropped: 0,
  compared: 0,
  agreed: 0,
  numbers: 0,
  differenceSum: 0,
  differenceLargest: 0,
};

export function shadowOf(status: EndpointStatus | undefined, candidate: Named): ShadowSeen {
  return status?.versions.find((one) => isStatusOf(candidate, one))?.shadow ?? noShadow;
}

export function shadowSince(now: ShadowSeen, start: ShadowSeen = noShadow): ShadowSeen {
  if (now.mirrored < start.mirrored) return now;
  return {
    mirrored: now.mirrored - start.mirrored,
    failed: now.failed - start.failed,
    dropped: now.dropped - start.dropped,
    compared: now.compared - start.compared,
    agreed: now.agreed - start.agreed,
    numbers: now.numbers - start.numbers,
    differenceSum: now.differenceSum - start.differenceSum,
    differenceLargest: now.differenceLargest,
  };
}

function sumOf(status: EndpointStatus | undefined, wanted: (version: VersionStatus) => boolean): Counts {
  const sum: Counts = { requests: 0, errors: 0, durations: [] };
  for (const version of status?.versions ?? []) {
    if (!wanted(version)) continue;
    const { requests, errors, durations = [] } = version;
    sum.requests += requests;
    sum.errors += errors;
    for (const [index, count] of durations.entries()) sum.durations[index] = (sum.durations[index] ?? 0) + count;
  }
  return sum;
}
