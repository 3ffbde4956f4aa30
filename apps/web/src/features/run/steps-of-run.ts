import type { Attempt, RunDetail, RunStep } from "@espalier/contract";

export const terminalRunStates: readonly string[] = ["succeeded", "failed", "cancelled"];

/** One step with its branches (of a map, or the trials of a search). */
export interface StepView {
  name: string;
  step: RunStep | undefined;
  branches: RunStep[];
}

export function stepViews({ graph, steps }: Pick<RunDetail, "graph" | "steps">): Map<string, StepView> {
  const views = new Map<string, StepView>(
    Object.keys(graph).map((name) => [name, { name, step: undefined, branches: [] }]),
  );
  for (const step of steps) {
    const view = views.get(step.step);
    if (view === undefined) continue;
    if (step.branch === -1) view.step = step;
    else view.branches.push(step);
  }
  return views;
}

export function attemptsOf(attempts: readonly Attempt[], step: string, branch: number): Attempt[] {
  return attempts.filter((one) => one.step === step && one.branch === branch).sort((a, b) => a.number - b.number);
}

/** The step a reader most likely came for: what failed, waits or runs; else the last that did something. */
export function stepToOpen(views: Iterable<StepView>): string | undefined {
  const all = [...views];
  for (const state of ["failed", "waiting", "running"]) {
    const found = all.find(({ step }) => step?.state === state);
    if (found !== undefined) return found.name;
  }
  return (all.findLast(({ step }) => step?.state === "succeeded" || step?.state === "cached") ?? all[0])?.name;
}

/** Branches counted by state, in the order of their first: `22 succeeded, 2 failed`. */
export function branchWords(branches: readonly Pick<RunStep, "state">[]): string {
  const counts = new Map<string, number>();
  for (const { state } of branches) counts.set(state, (counts.get(state) ?? 0) + 1);
  return [...counts].map(([state, count]) => `${count} ${state}`).join(", ");
}
