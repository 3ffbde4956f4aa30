import type { ArtifactRef } from "../artifact.ts";
import type { BuiltinDeclaration } from "../builtin.ts";
import type { Digest, Json } from "../canonical-json.ts";
import { EspalierError, toEspalierError } from "../errors.ts";
import { type Fault, jsonPointer } from "../fault.ts";
import { cacheKey, environmentDigest, visibleParams } from "./cache-key.ts";
import { celReads, evaluateItems, evaluateWhen } from "./cel.ts";
import { dependenciesOf, topologicalOrder } from "./graph.ts";
import { isTypescriptStep } from "./normalize.ts";
import type { ParameterValue, PipelineIr, StepIr } from "./pipeline.ts";
import { parseReference } from "./references.ts";
import { type RunScope, runScope, type ScopeOptions } from "./run-scope.ts";
import { trialsOf } from "./trials.ts";

/** run: it would be executed. cached: its outputs are there. skip: it would not run. unknown: an earlier step's outputs decide. */
export type PlannedAction = "run" | "cached" | "skip" | "unknown";

export interface PlannedStep {
  step: string;
  /** Name of the built-in, `module#export`, or `run`. */
  what: string;
  needs: readonly string[];
  compute?: string;
  action: PlannedAction;
  reason?: string;
  /** Where it is known before the run, of a step without `map`. */
  cacheKey?: Digest;
}

export interface PlanFacts {
  builtins: Readonly<Record<string, BuiltinDeclaration>>;
  /** `linux-x64` */
  platform: string;
  /** The newest result of a key, provided that its blobs are there. */
  lookup(key: Digest): Promise<KnownResult | undefined>;
}

/** What a step gave: its artifacts, and the documents of its `value` outputs. */
export interface KnownResult {
  outputs: Readonly<Record<string, ArtifactRef>>;
  values: Readonly<Record<string, Json>>;
}

/** The parts of a prepared run that a plan reads. */
export interface PlannableRun {
  pipeline: PipelineIr;
  params: Readonly<Record<string, ParameterValue>>;
  options: ScopeOptions;
  resolved: Readonly<Record<string, ArtifactRef | null>>;
  snapshots: Readonly<Record<string, ArtifactRef>>;
  logicalDate?: string;
}

/**
 * What a run would do, in the order in which it would do it, with the keys that the engine will use. What a step gives is known only when
 * it is cached, so all that depends on a step that runs is taken to run too, although equal outputs may yet make it cached.
 * `problems`: what would make the run fail before or while it does that.
 */
export async function planRun(
  run: PlannableRun,
  facts: PlanFacts,
): Promise<{ steps: PlannedStep[]; problems: Fault[] }> {
  const planner = new Planner(run, facts);
  for (const name of topologicalOrder(planner.dependencies)) await planner.add(name);
  return { steps: planner.steps, problems: planner.problems };
}

interface Decision {
  action: PlannedAction;
  reason?: string;
  key?: Digest;
  known?: KnownResult;
}

class Planner {
  readonly steps: PlannedStep[] = [];
  readonly problems: Fault[] = [];
  readonly dependencies: ReadonlyMap<string, readonly string[]>;
  readonly #run: PlannableRun;
  readonly #facts: PlanFacts;
  readonly #scope: RunScope;
  readonly #decisions = new Map<string, Decision>();

  constructor(run: PlannableRun, facts: PlanFacts) {
    this.#run = run;
    this.#facts = facts;
    this.dependencies = dependenciesOf(run.pipeline);
    this.#scope = runScope(run.pipeline, run.options, this.dependencies);
  }

  async add(name: string): Promise<void> {
    const step = this.#step(name);
    const decision = await this.#decide(name, step);
    this.#decisions.set(name, decision);
    this.steps.push({
      step: name,
      what: step.uses ?? "run",
      needs: this.dependencies.get(name) ?? [],
      ...(step.compute === undefined ? {} : { compute: step.compute }),
      action: decision.action,
      ...(decision.reason === undefined ? {} : { reason: decision.reason }),
      ...(decision.key === undefined ? {} : { cacheKey: decision.key }),
    });
  }

  async #decide(name: string, step: StepIr): Promise<Decision> {
    const mode = this.#scope.get(name) ?? "run";
    if (mode === "out") return { action: "skip", reason: "not asked for" };
    for (const dependency of this.dependencies.get(name) ?? []) {
      if (this.#decisions.get(dependency)?.action === "skip")
        return { action: "skip", reason: `${dependency} is skipped` };
    }
    const condition = this.#condition(name, step);
    if (condition !== undefined) return condition;
    const decision =
      step.map === undefined && step.tune === undefined ? await this.#unit(step) : await this.#branches(name, step);
    if (mode === "reuse") return this.#reuse(name, step, decision);
    if (mode === "forced" && decision.action === "cached")
      return { action: "run", reason: "asked for", ...keyOf(decision) };
    return decision;
  }

  /** Undefined: the condition, if any, holds. */
  #condition(name: string, step: StepIr): Decision | undefined {
    if (step.when === undefined) return undefined;
    const open = this.#unknownRead(step.when);
    if (open !== undefined) return { action: "unknown", reason: `\`when:\` reads ${open}, which runs first` };
    try {
      if (evaluateWhen(step.when, this.#variables())) return undefined;
      return { action: "skip", reason: `when: ${step.when} is false` };
    } catch (error) {
      return this.#problem(name, ["when"], toEspalierError(error));
    }
  }

  async #branches(name: string, step: StepIr): Promise<Decision> {
    if (step.tune?.method === "tpe") {
      return { action: "unknown", reason: `each of ${step.tune.trials ?? 0} trials follows from those before it` };
    }
    if (step.tune !== undefined) return this.#all(step, trialsOf(step.tune));
    const over = step.map?.over ?? "[]";
    const open = this.#unknownRead(over);
    if (open !== undefined) return { action: "unknown", reason: `\`map.over\` reads ${open}, which runs first` };
    let items: readonly Json[];
    try {
      items = evaluateItems(over, this.#variables());
    } catch (error) {
      return this.#problem(name, ["map", "over"], toEspalierError(error));
    }
    return this.#all(step, items);
  }

  async #all(step: StepIr, items: readonly Json[]): Promise<Decision> {
    const decisions = await Promise.all(items.map((item) => this.#unit(step, item)));
    const running = decisions.filter((decision) => decision.action !== "cached");
    const [first] = running;
    if (first === undefined) return { action: "cached", reason: `all ${items.length} branches` };
    return {
      action: first.action,
      reason: `${running.length} of ${items.length} branches${first.reason ? `: ${first.reason}` : ""}`,
    };
  }

  async #unit(step: StepIr, item?: Json): Promise<Decision> {
    const builtin = step.uses === undefined || isTypescriptStep(step) ? undefined : this.#facts.builtins[step.uses];
    const inputs: Record<string, Digest | null> = {};
    for (const [input, text] of Object.entries(step.inputs ?? {})) {
      const reference = parseReference(text);
      if (reference.kind !== "step") {
        inputs[input] = this.#run.resolved[text]?.digest ?? null;
        continue;
      }
      const producer = this.#decisions.get(reference.step);
      const digest = producer?.known?.outputs[reference.output]?.digest;
      if (digest !== undefined) inputs[input] = digest;
      else if (producer?.action === "cached")
        return { action: "unknown", reason: `\`${input}\` is gathered from ${reference.step} first` };
      else if (producer?.action === "unknown")
        return { action: "unknown", reason: `\`${input}\` comes from ${reference.step}` };
      else return { action: "run", reason: `\`${input}\` comes from ${reference.step}, which runs` };
    }
    if (step.cache === false) return { action: "run", reason: "cache: false" };
    if (builtin?.cacheable === false) return { action: "run", reason: `\`${builtin.name}\` looks every time` };
    try {
      const { key } = cacheKey(this.#keyFacts(step, builtin, inputs, item));
      const known = await this.#facts.lookup(key);
      return known === undefined ? { action: "run", key } : { action: "cached", key, known };
    } catch (error) {
      return { action: "run", reason: toEspalierError(error).message };
    }
  }

  #keyFacts(step: StepIr, builtin: BuiltinDeclaration | undefined, inputs: Record<string, Digest | null>, item?: Json) {
    const { params, pipeline, snapshots, logicalDate } = this.#run;
    const all: Record<string, Json> = { ...pipeline.params, ...params };
    if (step.map !== undefined && item !== undefined) all[step.map.as] = item;
    if (step.tune !== undefined) Object.assign(all, item);
    const visible = Object.fromEntries(
      visibleParams(step).flatMap((name): [string, Json][] => (all[name] === undefined ? [] : [[name, all[name]]])),
    );
    const source = step.source === undefined ? undefined : snapshots[step.source]?.digest;
    const environment = environmentDigest(step, snapshots);
    return {
      step,
      ...(builtin === undefined ? {} : { builtin }),
      params: visible,
      inputs,
      ...(source === undefined ? {} : { source }),
      ...(environment === undefined ? {} : { environment }),
      platform: this.#facts.platform,
      ...(logicalDate === undefined ? {} : { runDate: logicalDate }),
    };
  }

  /** `--only` and `--from` need everything before them to be there. */
  #reuse(name: string, step: StepIr, decision: Decision): Decision {
    if (decision.action === "cached" || decision.action === "unknown") return decision;
    // Without a key the engine takes the newest earlier result; that is for the record to know.
    if (decision.key === undefined || this.#facts.builtins[step.uses ?? ""]?.kind === "record") {
      return { action: "unknown", reason: "outputs of an earlier run are used, if there are any" };
    }
    const error = new EspalierError("NOT_FOUND", `the step ${name} is needed but has no cached result`, {
      hint: `Run without --only and --from, or with --from ${name}.`,
    });
    return this.#problem(name, [], error);
  }

  #problem(name: string, path: readonly string[], error: EspalierError): Decision {
    this.problems.push({
      code: error.code,
      check: "plan",
      message: error.message,
      pointer: jsonPointer(["steps", name, ...path]),
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
    return { action: "unknown", reason: error.message };
  }

  /** The first step that an expression reads and whose values are not known yet. */
  #unknownRead(expression: string): string | undefined {
    return celReads(expression).steps.find(({ step }) => this.#decisions.get(step)?.known === undefined)?.step;
  }

  #variables(): Record<string, Json> {
    const values = [...this.#decisions].map(([name, { known }]): [string, Json] => [name, known?.values ?? {}]);
    return { params: { ...this.#run.pipeline.params, ...this.#run.params }, ...Object.fromEntries(values) };
  }

  #step(name: string): StepIr {
    const step = this.#run.pipeline.steps[name];
    if (step === undefined) throw new EspalierError("INTERNAL", `The pipeline has no step ${name}`);
    return step;
  }
}

const keyOf = ({ key }: Decision): Pick<Decision, "key"> => (key === undefined ? {} : { key });
