import type { RunDetail } from "@espalier/contract";
import { type RunRow, type StepRow, tryParseReference } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";

/** A run as lists show it: the pipeline by its name. */
export function summaryOf(run: RunRow): RunDetail["run"] {
  const { pipeline, resolved: _resolved, snapshots: _snapshots, leaseEpoch: _epoch, ...rest } = run;
  return { ...rest, pipeline: pipeline.name } as RunDetail["run"];
}

const mostBranches = 1000;

export async function describeRun({ record }: ControlPlane, run: RunRow): Promise<RunDetail> {
  const [steps, attempts, counts] = await Promise.all([
    record.engine.steps(run.id),
    record.engine.attempts(run.id),
    record.runs.counts(run.id),
  ]);
  const order = Object.keys(run.pipeline.steps);
  const shown = steps
    .filter((step) => step.branch < mostBranches)
    .sort((a, b) => order.indexOf(a.step) - order.indexOf(b.step) || a.branch - b.branch);
  return {
    run: summaryOf(run),
    graph: graphOf(run),
    steps: shown.map(withoutKeyParts) as RunDetail["steps"],
    attempts: attempts.filter((attempt) => attempt.branch < mostBranches) as RunDetail["attempts"],
    counts: counts as Record<string, number>,
  };
}

function withoutKeyParts({
  keyParts: _keyParts,
  runId: _runId,
  ...step
}: StepRow): Omit<StepRow, "keyParts" | "runId"> {
  return step;
}

/** Direct needs of each step, by data and by `needs:`. */
function graphOf({ pipeline }: Pick<RunRow, "pipeline">): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(pipeline.steps).map(([name, step]) => {
      const needs = new Set(step.needs);
      for (const text of Object.values(step.inputs ?? {})) {
        const reference = tryParseReference(text);
        if (reference?.kind === "step") needs.add(reference.step);
      }
      return [name, [...needs]];
    }),
  );
}
