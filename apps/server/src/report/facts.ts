import { type JsonObject, type RunRow, type StepRow, terminalRunStates } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { RolloutRow } from "../db/queries/rollouts.ts";
import type { RunMetric } from "../db/queries/run-metrics.ts";
import type { VerdictRow } from "../db/queries/verdicts.ts";
import { isObject } from "./words.ts";

/** One run with what the report reads of it. */
export interface RunFacts {
  run: RunRow;
  steps: StepRow[];
  metrics: RunMetric[];
}

export interface Facts {
  /** Oldest first; those under way are left out. */
  runs: RunFacts[];
  /** Oldest first. */
  verdicts: VerdictRow[];
  /** Oldest first, of all endpoints. */
  rollouts: RolloutRow[];
}

/** A report is read by people: beyond these it would say no more. */
const mostRuns = 100;

export async function gatherFacts({ record }: ControlPlane): Promise<Facts> {
  const { items } = await record.runs.list({}, { limit: mostRuns });
  const runs: RunFacts[] = [];
  for (const { id } of items.toReversed()) {
    const run = await record.runs.get(id);
    if (run === undefined || !terminalRunStates.includes(run.state)) continue;
    runs.push({ run, steps: await record.engine.steps(id), metrics: await record.runMetrics.latest(id) });
  }
  const endpoints = (await record.endpoints.list({ limit: 100 })).items.map((endpoint) => endpoint.name);
  const rollouts: RolloutRow[] = [];
  for (const endpoint of endpoints) rollouts.push(...(await record.rollouts.list(endpoint, { limit: 100 })).items);
  return {
    runs,
    verdicts: (await record.verdicts.list({}, { limit: 100 })).items.toReversed(),
    rollouts: rollouts.sort((a, b) => a.startedAt - b.startedAt),
  };
}

/** Steps of a run that are a certain built-in. */
export function stepsUsing({ run, steps }: RunFacts, builtin: string): StepRow[] {
  return steps.filter((step) => step.branch === -1 && run.pipeline.steps[step.step]?.uses === builtin);
}

/** The first `value` output of that name of a step that is a certain built-in. */
export function documentOf(facts: RunFacts, builtin: string, output: string): JsonObject | undefined {
  for (const step of stepsUsing(facts, builtin)) {
    const value = step.values?.[output];
    if (isObject(value)) return value;
  }
  return undefined;
}

export function metricOf({ metrics }: RunFacts, step: string, key: string): number | undefined {
  const found = metrics.find((metric) => metric.stepName === step && metric.key === key)?.value;
  return typeof found === "number" ? found : undefined;
}

export function dateOf(run: Pick<RunRow, "logicalDate">): string | undefined {
  return run.logicalDate?.slice(0, 10);
}

/** How a trigger is told to people. */
export function triggerOf({ trigger }: Pick<RunRow, "trigger">): string {
  switch (trigger.kind) {
    case "monitor":
      return `the monitor ${(trigger.id ?? trigger.by).split("/")[0]?.replace("monitor:", "")}`;
    case "schedule":
      return "its schedule";
    case "backfill":
      return trigger.by === "simulation" ? "its schedule (simulated clock)" : "a backfill";
    case "resume":
      return "a resume";
    default:
      return "hand";
  }
}
