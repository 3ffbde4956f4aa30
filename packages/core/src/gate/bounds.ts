import { EspalierError } from "../errors.ts";
import { pointMetricNames } from "./point-metrics.ts";
import type { GatePolicy } from "./policy.ts";
import type { Task } from "./scored-rows.ts";
import type { BoundVerdict } from "./verdict.ts";

/** The policy's limits on the candidate alone. A metric that is not there fails its bound: absence is no proof. */
export function judgeBounds(policy: GatePolicy, metrics: Readonly<Record<string, number>>): BoundVerdict[] {
  return Object.entries(policy.bounds).map(([metric, { min, max }]) => {
    const value = metrics[metric] ?? null;
    const passed = value !== null && value >= (min ?? -Infinity) && value <= (max ?? Infinity);
    return {
      metric,
      value,
      ...(min === undefined ? {} : { min }),
      ...(max === undefined ? {} : { max }),
      passed,
    };
  });
}

/** A misspelt bound would refuse every candidate for ever. */
export function requireKnownBounds(policy: GatePolicy, task: Task): void {
  const known = pointMetricNames[task];
  for (const metric of Object.keys(policy.bounds)) {
    if (known.includes(metric)) continue;
    throw new EspalierError("INVALID_CONFIG", `The policy bounds \`${metric}\`, which is not measured here`, {
      at: `policy.bounds.${metric}`,
      hint: `Measured are: ${known.join(", ")}.`,
    });
  }
}

export function boundSentence(bound: BoundVerdict): string {
  const parts: string[] = [];
  if (bound.min !== undefined) parts.push(`at least ${bound.min}`);
  if (bound.max !== undefined) parts.push(`at most ${bound.max}`);
  return `${bound.metric} is ${bound.value === null ? "missing" : format(bound.value)}, the policy asks for ${parts.join(" and ")}.`;
}

/** Four significant digits: enough to compare, short enough to read. */
export function format(value: number): string {
  return Number(value.toPrecision(4)).toString();
}
