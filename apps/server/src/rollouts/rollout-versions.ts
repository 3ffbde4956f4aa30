import type { ServedVersion } from "@espalier/core";
import type { RolloutProgress } from "./rollout-plan.ts";

/** The versions of an endpoint at each point of a rollout. */

/** What served before, its weights scaled to sum 1 without the candidate. */
export function stableVersions({ before, candidate }: RolloutProgress): ServedVersion[] {
  const others = (before?.versions ?? []).filter(
    (version) => version.digest !== candidate.digest && version.weight > 0,
  );
  const sum = others.reduce((total, { weight }) => total + weight, 0);
  return others.map(({ keepUntil: _kept, ...version }) => ({ ...version, weight: version.weight / sum }));
}

/** The candidate comes last, so that callers with a key who have it keep it as its share grows. At 1 the others stay loaded. */
export function versionsAt(progress: RolloutProgress, weight: number): ServedVersion[] {
  const { candidate, plan } = progress;
  const others = stableVersions(progress);
  if (others.length === 0) return [{ ...candidate, weight: 1 }];
  if (plan.strategy === "shadow") return [...others, { ...candidate, weight: 0, mirror: plan.mirror }];
  return [
    ...others.map((version) => ({ ...version, weight: version.weight * (1 - weight) })),
    { ...candidate, weight },
  ];
}

/** The versions before, without traffic, for as long as the plan keeps them. */
export function keptVersions(progress: RolloutProgress, now: number): ServedVersion[] {
  const { keepSeconds } = progress.plan;
  if (keepSeconds === 0) return [];
  return stableVersions(progress).map((version) => ({ ...version, weight: 0, keepUntil: now + keepSeconds * 1000 }));
}
