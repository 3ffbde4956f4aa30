import type { PlannedAction } from "./plan.ts";

/** A planned step with what earlier runs tell of it. */
export interface ForeseenStep {
  step: string;
  needs: readonly string[];
  action: PlannedAction;
  /** Absent: it never ran. */
  expectedSeconds?: number | undefined;
  /** Dollars an hour; null: its tool's manifest does not say. */
  dollarsAnHour: number | null;
}

export interface Forecast {
  /** Along the longest path of what would run, when nothing has to wait for its turn. */
  seconds: number;
  /** Steps that would run, and of which no earlier run tells: the forecast is without them. */
  unknownSteps: string[];
  dollars: number;
  /** Steps whose tool says no price, or whose duration is not known though it costs something. */
  unpricedSteps: string[];
}

/** Steps come in the order in which a plan has them: what a step needs stands before it. */
export function foresee(steps: readonly ForeseenStep[]): Forecast {
  const ends = new Map<string, number>();
  const forecast: Forecast = { seconds: 0, unknownSteps: [], dollars: 0, unpricedSteps: [] };
  for (const { step, needs, action, expectedSeconds, dollarsAnHour } of steps) {
    const runs = action === "run" || action === "unknown";
    const begin = Math.max(0, ...needs.map((name) => ends.get(name) ?? 0));
    const took = runs ? (expectedSeconds ?? 0) : 0;
    ends.set(step, begin + took);
    forecast.seconds = Math.max(forecast.seconds, begin + took);
    if (!runs) continue;
    if (expectedSeconds === undefined) forecast.unknownSteps.push(step);
    if (dollarsAnHour === null || (dollarsAnHour > 0 && expectedSeconds === undefined))
      forecast.unpricedSteps.push(step);
    else forecast.dollars += (dollarsAnHour * took) / 3600;
  }
  return forecast;
}

export function median(values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}
