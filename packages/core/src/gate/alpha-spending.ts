import { normalCdf, normalQuantile } from "./special-functions.ts";

export type Spending = "obrien-fleming" | "pocock";

/**
 * Cumulative one-sided error spent when `fraction` (0 to 1) of the planned information is in. O'Brien-Fleming spends little early,
 * Pocock evenly. Source: Lan and DeMets 1983.
 */
export function spentAlpha(spending: Spending, alpha: number, fraction: number): number {
  if (fraction <= 0) return 0;
  const t = Math.min(1, fraction);
  if (spending === "pocock") return Math.min(alpha, alpha * Math.log(1 + (Math.E - 1) * t));
  return Math.min(alpha, 2 * (1 - normalCdf(normalQuantile(1 - alpha / 2) / Math.sqrt(t))));
}

/** Error that this look may use: what is spent now less what was spent at the look before. The sum over all looks is at most alpha. */
export function lookAlpha(spending: Spending, alpha: number, fraction: number, previousFraction: number): number {
  return Math.max(0, spentAlpha(spending, alpha, fraction) - spentAlpha(spending, alpha, previousFraction));
}

export interface FailureCounts {
  failed: number;
  total: number;
}

export interface CanaryLook {
  /** stop: the canary fails more often than the stable version, beyond doubt at this look. */
  decision: "continue" | "stop" | "finish";
  /** One-sided p-value that the canary's failure share is not above the stable one's by more than the margin. */
  pValue: number;
  alphaThisLook: number;
  reason: string;
}

/** One look at a running canary; looks are corrected, so that looking often does not stop a sound version. */
export function canaryLook(look: {
  canary: FailureCounts;
  stable: FailureCounts;
  /** Requests of the canary at which the comparison is complete. */
  plannedTotal: number;
  /** Canary requests at the look before; 0 at the first. */
  previousTotal: number;
  alpha: number;
  /** Failure share by which the canary may be above. */
  margin: number;
  spending: Spending;
}): CanaryLook {
  const { canary, stable } = look;
  const fraction = Math.min(1, canary.total / look.plannedTotal);
  const alphaThisLook = lookAlpha(look.spending, look.alpha, fraction, look.previousTotal / look.plannedTotal);
  const pValue = excessFailureP(canary, stable, look.margin);
  const shares = `${percent(canary)} of ${canary.total} canary requests failed, ${percent(stable)} of ${stable.total} stable ones`;
  if (pValue < alphaThisLook)
    return { decision: "stop", pValue, alphaThisLook, reason: `Too many failures: ${shares}.` };
  if (fraction >= 1) return { decision: "finish", pValue, alphaThisLook, reason: `All looks are done: ${shares}.` };
  return { decision: "continue", pValue, alphaThisLook, reason: `No decision yet: ${shares}.` };
}

function excessFailureP(canary: FailureCounts, stable: FailureCounts, margin: number): number {
  if (canary.total === 0 || stable.total === 0) return 1;
  const p = canary.failed / canary.total;
  const q = stable.failed / stable.total;
  const pooled = (canary.failed + stable.failed) / (canary.total + stable.total);
  const variance = pooled * (1 - pooled) * (1 / canary.total + 1 / stable.total);
  if (variance === 0) return 1;
  return 1 - normalCdf((p - q - margin) / Math.sqrt(variance));
}

function percent(counts: FailureCounts): string {
  return `${((100 * counts.failed) / Math.max(1, counts.total)).toFixed(2)} %`;
}
