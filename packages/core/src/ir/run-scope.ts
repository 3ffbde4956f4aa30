import { didYouMean } from "../closest.ts";
import { EspalierError } from "../errors.ts";
import type { PipelineIr } from "../ir/pipeline.ts";

/**
 * run: through the cache as usual. forced: without a cache look-up. reuse: only from the cache, since `--only` or `--from` asked for others.
 * out: nothing that was asked for needs it.
 */
type StepMode = "run" | "forced" | "reuse" | "out";

/** Of a run's options those that choose steps. */
export interface ScopeOptions {
  only?: readonly string[];
  from?: readonly string[];
  until?: readonly string[];
  force?: boolean;
}

export type RunScope = ReadonlyMap<string, StepMode>;

/** What `--only`, `--from`, `--until` and `--force` mean for each step. `dependencies` holds the direct ones. */
export function runScope(
  pipeline: PipelineIr,
  options: ScopeOptions,
  dependencies: ReadonlyMap<string, readonly string[]>,
): RunScope {
  const names = Object.keys(pipeline.steps);
  for (const name of [...(options.only ?? []), ...(options.from ?? []), ...(options.until ?? [])]) {
    if (pipeline.steps[name] === undefined) {
      throw new EspalierError("INVALID_INPUT", `The pipeline ${pipeline.name} has no step named ${name}`, {
        hint: didYouMean(name, names, "steps"),
      });
    }
  }
  const normal: StepMode = options.force === true ? "forced" : "run";
  if (options.until !== undefined) {
    if (options.only !== undefined || options.from !== undefined) {
      throw new EspalierError("INVALID_INPUT", "`--until` goes together with neither `--only` nor `--from`");
    }
    const { until } = options;
    const needed = (name: string): boolean =>
      until.includes(name) || until.some((wanted) => reaches(wanted, name, dependencies));
    return new Map(names.map((name) => [name, needed(name) ? normal : "out"]));
  }
  if (options.only === undefined && options.from === undefined) return new Map(names.map((name) => [name, normal]));
  const asked = new Set(options.only);
  for (const name of options.from ?? []) {
    asked.add(name);
    for (const other of names) if (reaches(other, name, dependencies)) asked.add(other);
  }
  const scope = new Map<string, StepMode>();
  for (const name of names) {
    if (asked.has(name)) scope.set(name, "forced");
    else scope.set(name, [...asked].some((wanted) => reaches(wanted, name, dependencies)) ? "reuse" : "out");
  }
  return scope;
}

/** Whether `step` needs `target`, directly or through others. */
function reaches(step: string, target: string, dependencies: ReadonlyMap<string, readonly string[]>): boolean {
  const seen = new Set<string>();
  const open = [step];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    for (const dependency of dependencies.get(name) ?? []) {
      if (dependency === target) return true;
      if (!seen.has(dependency)) {
        seen.add(dependency);
        open.push(dependency);
      }
    }
  }
  return false;
}
