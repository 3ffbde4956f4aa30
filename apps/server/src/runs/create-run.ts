import type { CreateRun } from "@espalier/contract";
import {
  dependenciesOf,
  EspalierError,
  faultsError,
  type NewRun,
  type PipelineIr,
  type RunOptions,
  type RunRow,
  runScope,
  ulid,
} from "@espalier/core";
import { checkStack, prepareRun } from "@espalier/host";
import type { ControlPlane } from "../control-plane.ts";
import { bringArtifacts } from "./bring-artifacts.ts";
import { convertParameters } from "./parameters.ts";
import { readPipeline, requireSameStore } from "./read-pipeline.ts";
import { resolveReference } from "./resolve-reference.ts";

export type RunTrigger = NewRun["trigger"];

/** Checks, resolves and snapshots everything the run depends on, then puts it on record and wakes the engine. */
export async function createRun(
  plane: ControlPlane,
  request: CreateRun,
  by: string,
  trigger: RunTrigger = { kind: "manual", by, ...(request.origin === undefined ? {} : { id: request.origin }) },
): Promise<RunRow> {
  // A create repeated after a lost answer is the same run, also when files have changed since.
  const earlier = request.id === undefined ? undefined : await plane.record.runs.get(request.id);
  if (earlier !== undefined) return earlier;
  const stack = request.stack ?? plane.stack.name;
  const { pipeline } = await readPipeline(plane, request.pipeline, stack);
  const run = await plane.record.engine.createRun(await newRun(plane, pipeline, { ...request, stack }, trigger));
  plane.engine.wake(run.id);
  return run;
}

/** Everything that the run reads from outside its graph, pinned; nothing is on record yet. */
export function newRun(
  plane: ControlPlane,
  pipeline: PipelineIr,
  request: Pick<CreateRun, "params" | "options" | "logicalDate" | "id"> & { stack: string },
  trigger: RunTrigger,
): Promise<NewRun> {
  return prepareRun(
    {
      projectFolder: plane.project.directory,
      stateFolder: plane.project.stateDirectory,
      pipeline,
      params: convertParameters(pipeline, request.params ?? {}),
      stack: request.stack,
      trigger,
      options: definedOptions(request.options ?? {}),
      id: request.id ?? ulid(),
      ...(request.logicalDate === undefined ? {} : { logicalDate: instantOf(request.logicalDate) }),
    },
    {
      artifacts: plane.artifacts,
      files: plane.files,
      builtins: plane.builtins,
      environments: plane.environments,
      resolve: (reference) => resolveReference(plane, reference),
    },
  );
}

/**
 * A run that ended without success goes on in a new one: the same pipeline, parameters, inputs and date. In another `stack` too: what it has
 * made so far is brought to that stack's store first.
 */
export async function resumeRun(
  plane: ControlPlane,
  run: RunRow,
  {
    from,
    stack = run.stack,
    id = ulid(),
  }: { from?: string[] | undefined; stack?: string | undefined; id?: string | undefined },
  by: string,
): Promise<RunRow> {
  const earlier = await plane.record.runs.get(id);
  if (earlier !== undefined) return earlier;
  if (run.state !== "failed" && run.state !== "cancelled") {
    throw new EspalierError("CONFLICT", `Run ${run.id} is ${run.state}; only a failed or cancelled run is resumed`, {
      hint: run.state === "succeeded" ? "`espalier run` starts a new one." : "It goes on by itself.",
    });
  }
  const { only, until, force } = run.options;
  runScope(
    run.pipeline,
    definedOptions({ only, from, until: from === undefined ? until : undefined }),
    dependenciesOf(run.pipeline),
  );
  await requireStack(plane, run, stack);
  await bringArtifacts(plane, run);
  const resumed = await plane.record.engine.createRun({
    id,
    pipeline: run.pipeline,
    pipelineDigest: run.pipelineDigest,
    params: run.params,
    stack,
    trigger: { kind: "resume", by, id: run.id },
    logicalDate: run.logicalDate ?? new Date(run.createdAt).toISOString(),
    options: definedOptions({ only, force, from, until: from === undefined ? until : undefined, resumes: run.id }),
    resolved: run.resolved,
    snapshots: run.snapshots,
  });
  plane.engine.wake(resumed.id);
  return resumed;
}

async function requireStack(plane: ControlPlane, run: RunRow, stack: string): Promise<void> {
  requireSameStore(plane, stack);
  const computes = Object.values(run.pipeline.steps).flatMap(({ compute }) => compute ?? []);
  const faults = await checkStack(plane.project, stack, computes);
  if (faults.length > 0) throw faultsError(faults, `stacks.${stack}`);
}

/** A date without a time means its midnight in UTC. */
function instantOf(date: string): string {
  return new Date(date).toISOString();
}

export function definedOptions(options: { [Key in keyof RunOptions]?: RunOptions[Key] | undefined }): RunOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as RunOptions;
}
