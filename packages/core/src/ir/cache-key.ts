import { type Digest, digestOfJson, isDigest, type Json } from "../canonical-json.ts";
import { EspalierError } from "../errors.ts";
import { commandExpressions } from "./expressions.ts";
import { isTypescriptStep } from "./normalize.ts";
import type { StepIr } from "./pipeline.ts";

/** Grows when the meaning of a part changes; every earlier key is then a miss. */
export const cacheKeyVersion = 1;

export interface CacheKeyFacts {
  step: StepIr;
  /** The declaration of a built-in step; its version and engine decide the bytes. */
  builtin?: { name: string; version: number; engine?: string };
  /** Values of the parameters that the step sees, see `visibleParams`; of a branch also its item. */
  params: Readonly<Record<string, Json>>;
  /** Digest of every input. null: an optional reference (a first champion) that nothing answers yet. */
  inputs: Readonly<Record<string, Digest | null>>;
  /** Digest of the snapshot of `source:`. */
  source?: Digest;
  /** Digest of the lock file, or of the image that runs. */
  environment?: Digest;
  /** `linux-x64` */
  platform: string;
  /** What `run.date` means, when the command names it. */
  runDate?: string;
}

export interface CacheKey {
  key: Digest;
  /** What was hashed, flat, so that two keys can be compared line by line. */
  parts: Readonly<Record<string, Json>>;
}

/**
 * Two attempts with one key are the same work. Left out: retry, timeout, resources, compute, secrets, the step's name, location, time.
 * Fails closed: a part that ought to be there and is not is INTERNAL, never an equal key.
 */
export function cacheKey(facts: CacheKeyFacts): CacheKey {
  const { step } = facts;
  const parts: Record<string, Json> = { key_version: cacheKeyVersion };
  addWork(parts, facts);
  for (const name of visibleParams(step)) {
    const value = facts.params[name];
    if (value === undefined) throw missing(`the value of the parameter ${name}`);
    parts[`params.${name}`] = value;
  }
  for (const name of Object.keys(step.inputs ?? {})) {
    const digest = facts.inputs[name];
    if (digest === undefined) throw missing(`the digest of the input ${name}`);
    parts[`inputs.${name}`] = digest === null ? null : checked(digest, `the input ${name}`);
  }
  for (const [name, output] of Object.entries(step.outputs ?? {})) parts[`outputs.${name}`] = output.type;
  for (const [name, value] of Object.entries(step.with ?? {})) parts[`with.${name}`] = value;
  // Not like the resources: so many processes share the work, and what they come to may depend on how it was shared.
  if (step.nodes !== undefined && step.nodes > 1) parts["nodes"] = step.nodes;
  if (step.source !== undefined) parts["source"] = checked(facts.source, "the source folder");
  if (step.environment !== undefined) parts["environment"] = checked(facts.environment, "the environment");
  const pythonVersion = step.environment && "python" in step.environment ? step.environment.pythonVersion : undefined;
  if (pythonVersion !== undefined) parts["python_version"] = pythonVersion;
  if (!isPortable(step)) parts["platform"] = facts.platform;
  return { key: digestOfJson(parts), parts };
}

function addWork(parts: Record<string, Json>, { step, builtin, runDate }: CacheKeyFacts): void {
  if (step.run !== undefined) {
    parts["command"] = step.run;
    if (commandExpressions(step.run).some((expression) => expression.kind === "run.date")) {
      if (runDate === undefined) throw missing("the run's date");
      parts["run.date"] = runDate;
    }
  } else if (isTypescriptStep(step)) {
    parts["function"] = step.uses ?? "";
    if (step.source === undefined) throw missing("the source folder of a TypeScript step");
  } else {
    if (builtin === undefined || builtin.name !== step.uses)
      throw missing(`the declaration of the built-in ${step.uses}`);
    parts["builtin"] = builtin.name;
    parts["builtin_version"] = builtin.version;
    if (builtin.engine !== undefined) parts["builtin_engine"] = builtin.engine;
  }
}

/** The parameters that a step sees: those it declares or its command names, and a branch's item. Sorted. */
export function visibleParams(step: StepIr): string[] {
  const named = step.run === undefined ? [] : commandExpressions(step.run);
  const names = named.flatMap((expression) => (expression.kind === "params" ? [expression.name] : []));
  return [
    ...new Set([
      ...(step.params ?? []),
      ...names,
      ...(step.map ? [step.map.as] : []),
      ...Object.keys(step.tune?.search ?? {}),
    ]),
  ].sort();
}

/** A lock file's digest, or that of an image named by digest: a tag may move. */
export function environmentDigest(
  step: StepIr,
  snapshots: Readonly<Record<string, { digest: Digest }>>,
): Digest | undefined {
  const { environment } = step;
  if (environment === undefined) return undefined;
  const snapshot = environmentSnapshot(environment);
  if (snapshot !== undefined) return snapshots[snapshot]?.digest;
  if ("image" in environment) return /@(sha256:[0-9a-f]{64})$/.exec(environment.image)?.[1] as Digest | undefined;
  return undefined;
}

/** Under which name a run keeps the lock of an environment: one file gives each version of Python a lock of its own. */
export function environmentSnapshot(environment: NonNullable<StepIr["environment"]>): string | undefined {
  if (!("python" in environment)) return undefined;
  const { python, pythonVersion } = environment;
  return pythonVersion === undefined ? python : `${python} for Python ${pythonVersion}`;
}

function isPortable(step: StepIr): boolean {
  const outputs = Object.values(step.outputs ?? {});
  return outputs.length > 0 && outputs.every((output) => output.portable === true);
}

function checked(digest: Digest | undefined, what: string): Digest {
  if (digest === undefined || !isDigest(digest)) throw missing(`the digest of ${what}`);
  return digest;
}

function missing(what: string): EspalierError {
  return new EspalierError("INTERNAL", `A cache key can not be made without ${what}`);
}

export interface KeyPartChange {
  part: string;
  before: Json | undefined;
  after: Json | undefined;
}

/** What differs between the parts of two keys, by part. */
export function diffKeyParts(
  before: Readonly<Record<string, Json>>,
  after: Readonly<Record<string, Json>>,
): KeyPartChange[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return names
    .map((part) => ({ part, before: before[part], after: after[part] }))
    .filter((change) => JSON.stringify(change.before) !== JSON.stringify(change.after));
}

/** One line a person can read: `params.learning_rate: 0.1 -> 0.2`. */
export function describeKeyPartChange({ part, before, after }: KeyPartChange): string {
  if (before === undefined) return `${part}: new, ${shown(after)}`;
  if (after === undefined) return `${part}: gone, was ${shown(before)}`;
  return `${part}: ${shown(before)} -> ${shown(after)}`;
}

function shown(value: Json | undefined): string {
  if (typeof value === "string" && isDigest(value)) return value.slice(7, 19);
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 200 ? `${text.slice(0, 200)}...` : text;
}
