import { join } from "node:path";
import {
  type ArtifactRef,
  type Artifacts,
  type BuiltinDeclaration,
  dependenciesOf,
  didYouMean,
  EspalierError,
  environmentSnapshot,
  type LocalFiles,
  type NewRun,
  normalizePipeline,
  type PipelineIr,
  parseReference,
  pipelineDigest,
  type Reference,
  type RunOptions,
  runScope,
  type StepIr,
  ulid,
} from "@espalier/core";
import type { PythonEnvironments } from "../environments/python-environments.ts";
import { type DigestMemo, openDigestMemo } from "./digest-memo.ts";
import { sourceExcludes } from "./ignore.ts";

export interface RunRequest {
  /** Absolute. */
  projectFolder: string;
  stateFolder: string;
  pipeline: PipelineIr;
  /** What was given; defaults of the pipeline are added. */
  params: NewRun["params"];
  stack: string;
  trigger: NewRun["trigger"];
  logicalDate?: string;
  options?: RunOptions;
  /** ULID; minted when left out. */
  id?: string;
}

export interface RunSources {
  artifacts: Artifacts;
  files: LocalFiles;
  builtins: Readonly<Record<string, BuiltinDeclaration>>;
  environments: PythonEnvironments;
  /** A lock file was written into the project just now, and should be committed. */
  onFreshLock?(path: string): void;
  /** null: there is no such dataset, model or alias. */
  resolve(reference: Extract<Reference, { kind: "dataset" | "model" | "uri" }>): Promise<ArtifactRef | null>;
}

/**
 * Pins everything a run reads from outside its graph: files, datasets, models, source folders, locks. From here on the run depends on
 * nothing that can change. Errors: INVALID_INPUT (parameters), NOT_FOUND (names the step and the input), those of environments.
 */
export async function prepareRun(request: RunRequest, sources: RunSources): Promise<NewRun> {
  const pipeline = normalizePipeline(request.pipeline);
  // Before anything is stored: a run that can not be driven must not be on record.
  runScope(pipeline, request.options ?? {}, dependenciesOf(pipeline));
  const params = mergeParams(pipeline, request.params);
  const memo = await openDigestMemo(request.stateFolder, sources.artifacts, sources.files);
  const resolved: Record<string, ArtifactRef | null> = {};
  const snapshots: Record<string, ArtifactRef> = {};
  for (const [name, step] of Object.entries(pipeline.steps)) {
    await resolveInputs(request, sources, memo, name, step, resolved);
    await takeSnapshots(request, sources, name, step, snapshots);
  }
  await memo.save();
  return {
    id: request.id ?? ulid(),
    pipeline,
    pipelineDigest: pipelineDigest(pipeline),
    params,
    stack: request.stack,
    trigger: request.trigger,
    ...(request.logicalDate === undefined ? {} : { logicalDate: request.logicalDate }),
    options: request.options ?? {},
    resolved,
    snapshots,
  };
}

function mergeParams(pipeline: PipelineIr, given: NewRun["params"]): NewRun["params"] {
  const defaults = pipeline.params ?? {};
  for (const [name, value] of Object.entries(given)) {
    const usual = defaults[name];
    if (usual === undefined) {
      throw new EspalierError("INVALID_INPUT", `The pipeline ${pipeline.name} has no parameter ${name}`, {
        at: `params.${name}`,
        hint: didYouMean(name, Object.keys(defaults), "parameters"),
      });
    }
    if (typeof value !== typeof usual) {
      throw new EspalierError(
        "INVALID_INPUT",
        `The parameter ${name} is a ${typeof usual}, not ${JSON.stringify(value)}`,
        {
          at: `params.${name}`,
          hint: `A parameter has the type of its default, here ${JSON.stringify(usual)}.`,
        },
      );
    }
  }
  return { ...defaults, ...given };
}

async function resolveInputs(
  request: RunRequest,
  sources: RunSources,
  memo: DigestMemo,
  name: string,
  step: StepIr,
  resolved: Record<string, ArtifactRef | null>,
): Promise<void> {
  for (const [input, text] of Object.entries(step.inputs ?? {})) {
    const reference = parseReference(text);
    if (reference.kind === "step") continue;
    const at = `steps.${name}.inputs.${input}`;
    if (resolved[text] === undefined) {
      resolved[text] =
        reference.kind === "file"
          ? await publishPath(request, sources, memo, reference.path, at)
          : await sources.resolve(reference);
    }
    const declared = step.uses === undefined ? undefined : sources.builtins[step.uses]?.inputs[input];
    if (resolved[text] === null && declared?.required !== false) {
      throw new EspalierError("NOT_FOUND", `There is no ${text}`, {
        at,
        hint: "Register it first, or name another; only the champion of a gate may be missing.",
      });
    }
  }
}

async function publishPath(
  request: RunRequest,
  { artifacts, files }: RunSources,
  memo: DigestMemo,
  path: string,
  at: string,
): Promise<ArtifactRef> {
  const absolute = join(request.projectFolder, path);
  const found = await files.stat(absolute);
  if (!found) throw notThere(path, at);
  return memo.publish(absolute, () =>
    found.kind === "folder"
      ? artifacts.putTree(absolute, "tree")
      : artifacts.putFile(absolute, path.endsWith(".parquet") ? "parquet" : "file"),
  );
}

async function takeSnapshots(
  request: RunRequest,
  { artifacts, files, environments, onFreshLock }: RunSources,
  name: string,
  step: StepIr,
  snapshots: Record<string, ArtifactRef>,
): Promise<void> {
  const { source, environment } = step;
  if (source !== undefined && snapshots[source] === undefined) {
    const absolute = join(request.projectFolder, source);
    const found = await files.stat(absolute);
    if (!found) throw notThere(source, `steps.${name}.source`);
    snapshots[source] =
      found.kind === "folder"
        ? await artifacts.putTree(absolute, "tree", { exclude: await sourceExcludes(absolute) })
        : await artifacts.putFile(absolute, "file");
  }
  const snapshot = environment && environmentSnapshot(environment);
  if (environment && "python" in environment && snapshot !== undefined && snapshots[snapshot] === undefined) {
    const lock = await environments.lock(request.projectFolder, environment.python, environment.pythonVersion);
    if (lock.fresh) onFreshLock?.(lock.path);
    snapshots[snapshot] = await artifacts.putBytes(Buffer.from(lock.text, "utf8"), "file");
  }
}

const notThere = (path: string, at: string): EspalierError =>
  new EspalierError("NOT_FOUND", `There is no ${path} in the project`, { at, hint: "Create it, or correct the path." });
