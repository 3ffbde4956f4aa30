import type { ArtifactRef } from "../artifact.ts";
import type { BuiltinDeclaration } from "../builtin.ts";
import type { Digest, Json } from "../canonical-json.ts";
import type { StepIr, TuneIr } from "../ir/pipeline.ts";
import type { Staging } from "../ports/staging.ts";
import type { StepRunner } from "../ports/step-runner.ts";
import type { CachedResult, EngineRecord, RunRow } from "../record/engine-record.ts";
import type { StepState } from "../record/states.ts";
import type { StepEvent } from "../step-contract.ts";

/** Where a step runs. */
export interface ComputeTarget {
  runner: StepRunner;
  /** Name of the tool, as attempts record it: `embedded/process`. */
  tool: string;
  /** Steps that share a `name` share its `limit` of steps at a time. */
  name: string;
  limit: number;
  image?: string;
}

/** What a `record` built-in, or the recorder of a `data` built-in, is called with. It must be idempotent on `attemptId` or its inputs. */
export interface RecordStepContext {
  run: RunRow;
  step: string;
  branch: number;
  attemptId: string;
  stepIr: StepIr;
  /** `reference` is as the pipeline writes it; `step` and `output` tell where an input of the graph came from. */
  inputs: Readonly<Record<string, { ref: ArtifactRef; reference: string; step?: string; output?: string }>>;
  /** Earlier steps, with their `value` outputs: a register step finds its gate's verdict here. */
  steps: Readonly<Record<string, SettledStep>>;
  params: Readonly<Record<string, Json>>;
  with: Readonly<Record<string, Json>>;
  emit(event: StepEvent): Promise<void>;
  /** Aborted when the run is cancelled or the engine stops. */
  signal: AbortSignal;
}

export interface SettledStep {
  state: StepState;
  outputs: Readonly<Record<string, ArtifactRef>>;
  values: Readonly<Record<string, Json>>;
}

export type RecordStepResult =
  | {
      /** Left out: succeeded. */
      state?: "succeeded" | "unchanged";
      outputs: Readonly<Record<string, ArtifactRef>>;
      values?: Readonly<Record<string, Json>>;
      reason?: string;
    }
  /** Called again after the next `wake(runId)`. */
  | { state: "waiting"; reason: string };

export type RecordStep = (context: RecordStepContext) => Promise<RecordStepResult>;

/**
 * Runs after a `data` built-in's outputs are taken in and before its step is reported, so that what it records (a verdict) and the step's
 * end can not come apart: after a crash it runs again. Throwing fails the step.
 */
export type StepRecorder = (
  context: Omit<RecordStepContext, "emit"> & {
    outputs: Readonly<Record<string, ArtifactRef>>;
    values: Readonly<Record<string, Json>>;
  },
) => Promise<void>;

/** Time, so that tests need not wait for it. Milliseconds. */
export interface Clock {
  now(): number;
  /** Rejects with the signal's reason when aborted. */
  delay(milliseconds: number, signal: AbortSignal): Promise<void>;
}

export interface EngineArtifacts {
  exists(ref: ArtifactRef): Promise<boolean>;
  putBytes(bytes: Uint8Array, type: "file" | "value"): Promise<ArtifactRef>;
}

/** How a trial of a search stands, as the proposer of the next one is told. */
export interface ToldTrial {
  values: Readonly<Record<string, Json>>;
  /** `running`: begun, and its result not to be used yet. */
  state: "running" | "succeeded" | "failed" | "pruned";
  /** The objective's last value; left out when there is no finite one. */
  metric?: number;
}

export interface EngineOptions {
  record: EngineRecord;
  artifacts: EngineArtifacts;
  staging: Staging;
  runnerFor(step: StepIr, run: RunRow): ComputeTarget | Promise<ComputeTarget>;
  builtins: Readonly<Record<string, BuiltinDeclaration>>;
  recordSteps: Readonly<Record<string, RecordStep>>;
  recorders?: Readonly<Record<string, StepRecorder>>;
  /**
   * The verdict that once let this candidate through under this policy. A gate whose candidate is the champion itself reports it,
   * since a model judged against itself tells nothing.
   */
  findVerdict?(candidate: Digest, policy: Digest): Promise<CachedResult | undefined>;
  /**
   * The values of the next trial of a `tpe` search: a function of the search and what is told of all trials before, in their order, and of
   * nothing else, so that a search that is taken up again goes on the same. Errors: NOT_INSTALLED, STEP_FAILED.
   */
  proposeTrial?(tune: TuneIr, told: readonly ToldTrial[], signal: AbortSignal): Promise<Record<string, Json>>;
  /**
   * The machine and folder whose processes run the steps that run here. Given where several control planes share the record: a step that one of
   * them has begun here must not be begun by another that knows nothing of this machine's processes. Left out: no other drives these runs.
   */
  host?: string;
  /** Unique to this process. */
  owner: string;
  /** `linux-x64`; part of the cache key unless outputs are portable. */
  platform: string;
  /** ULIDs of attempts. */
  newId(): string;
  clock: Clock;
  leaseSeconds: number;
  /** Between SIGTERM and SIGKILL of a cancelled step. */
  graceSeconds: number;
  /** A run came to its end. Failure notices hang here; what it throws is reported to `onError`. */
  onRunEnded?(run: RunRow): void | Promise<void>;
  /** Faults that belong to no step: a record that does not answer, a folder that could not be removed. */
  onError(error: unknown, context: { runId?: string; doing: string }): void;
}
