import { celReads } from "../ir/cel.ts";
import type { PipelineIr, StepIr } from "../ir/pipeline.ts";
import { tryParseReference } from "../ir/references.ts";

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
    for (const read of expression === undefined ? [] : celReads(expression).steps) wanted.add(read.step);
  }
  return names.filter((other) => other !== name && wanted.has(other));
}
