import type { PipelineIr, StepIr } from "../ir/pipeline.ts";

const producer = /^([a-z][a-z0-9_]*)\.[a-z][a-z0-9_]*$/;

/** Which steps each step waits for: by its inputs, `needs:`, and the steps that `when:` and `map.over` name. */
export function dependenciesOf(pipeline: PipelineIr): ReadonlyMap<string, readonly string[]> {
  const names = Object.keys(pipeline.steps);
  return new Map(Object.entries(pipeline.steps).map(([name, step]) => [name, stepDependencies(name, step, names)]));
}

function stepDependencies(name: string, step: StepIr, names: readonly string[]): string[] {
  const wanted = new Set<string | undefined>(step.needs);
  for (const reference of Object.values(step.inputs ?? {})) wanted.add(producer.exec(reference)?.[1]);
  for (const expression of [step.when, step.map?.over]) {
    for (const word of wordsOf(expression ?? "")) wanted.add(word);
  }
  return names.filter((other) => other !== name && wanted.has(other));
}

/** Identifiers of a CEL expression that are not members of something and not inside a string. */
function wordsOf(expression: string): string[] {
  const bare = expression.replaceAll(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g, '""');
  return [...bare.matchAll(/(?<![\w.])[a-z][a-z0-9_]*/g)].map(([word]) => word);
}
