import { celReads } from "./cel.ts";
import type { PipelineIr, StepIr } from "./pipeline.ts";
import { tryParseReference } from "./references.ts";

/** Which steps each step waits for: by its inputs, `needs:`, and the steps that `when:` and `map.over` name. */
export function dependenciesOf(pipeline: PipelineIr): ReadonlyMap<string, readonly string[]> {
  const names = Object.keys(pipeline.steps);
  return new Map(Object.entries(pipeline.steps).map(([name, step]) => [name, stepDependencies(name, step, names)]));
}

function stepDependencies(name: string, step: StepIr, names: readonly string[]): string[] {
  const wanted = new Set<string>(step.needs);
  for (const text of Object.values(step.inputs ?? {})) {
    const reference = tryParseReference(text);
    if (reference?.kind === "step") wanted.add(reference.step);
  }
  for (const expression of [step.when, step.map?.over]) {
    for (const read of expression === undefined ? [] : stepsRead(expression)) wanted.add(read);
  }
  return names.filter((other) => other !== name && wanted.has(other));
}

/** An expression that does not parse is told by its own check. */
function stepsRead(expression: string): string[] {
  try {
    return celReads(expression).steps.map((read) => read.step);
  } catch {
    return [];
  }
}

/** Steps in an order in which each comes after what it waits for; steps of a circle are left out. */
export function topologicalOrder(dependencies: ReadonlyMap<string, readonly string[]>): string[] {
  const order: string[] = [];
  const placed = new Set<string>();
  const open = new Set(dependencies.keys());
  for (;;) {
    const ready = [...open].filter((name) => (dependencies.get(name) ?? []).every((needed) => placed.has(needed)));
    if (ready.length === 0) return order;
    for (const name of ready) {
      order.push(name);
      placed.add(name);
      open.delete(name);
    }
  }
}
