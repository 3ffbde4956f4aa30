import type { ArtifactRef } from "../artifact.ts";
import type { Digest, Json } from "../canonical-json.ts";
import type { EspalierError } from "../errors.ts";
import type { FailureCause, ParameterValue, PipelineIr } from "../ir/pipeline.ts";
import type { StepEvent } from "../step-contract.ts";
import type { AttemptState, RunState, StepState } from "./states.ts";

/** How an error is stored. */
export type StoredError = ReturnType<EspalierError["toJSON"]>;

export interface NewRun {
  /** ULID, minted by the caller, so that a repeated create is the same run. */
  id: string;
  pipeline: PipelineIr;
  pipelineDigest: Digest;
  params: Readonly<Record<string, ParameterValue>>;
  stack: string;
  trigger: { kind: "manual" | "schedule" | "monitor" | "backfill" | "resume"; by: string; id?: string };
  /** ISO 8601 instant that `run.date` means. */
  logicalDate?: string;
  options: RunOptions;
  /** Every reference outside the graph (files, datasets, models), resolved once when the run is created. */
  resolved: Readonly<Record<string, ArtifactRef | null>>;
  /** Digests of `source:` trees and of referenced files' snapshots, by project path. */
  snapshots: Readonly<Record<string, ArtifactRef>>;
}

export interface RunOptions {
  /** Only these steps; what they need must be cached. */
  only?: string[];
  /** These and all that depends on them run; the rest must be cached. */
  from?: string[];
  /** These and all that they need, through the cache as usual; nothing else. */
  until?: string[];
  /** true: no cache look-up. */
  force?: boolean;
  /** The failed or cancelled run that this one continues. */
  resumes?: string;
}

export interface RunRow extends NewRun {
  state: RunState;
  leaseEpoch: number;
  createdAt: number;
  startedAt?: number;
  finishedAt?: number;
  cancelRequested: boolean;
  error?: StoredError;
}

/** One step of a run, or one branch of a mapped step (`branch` its index, -1 for the step itself). */
export interface StepRow {
  runId: string;
  step: string;
  branch: number;
  state: StepState;
  cacheKey?: Digest;
  /** The parts that were hashed, for `why`. */
  keyParts?: Readonly<Record<string, Json>>;
  outputs?: Readonly<Record<string, ArtifactRef>>;
  /** Small JSON documents of `value` outputs, so that expressions need no store. */
  values?: Readonly<Record<string, Json>>;
  /** The item of a branch. */
  item?: Json;
  /** For `cached`: the attempt whose outputs these are. */
  cachedFrom?: string;
  /** Why it is skipped, waiting or failed. */
  reason?: string;
  error?: StoredError;
  startedAt?: number;
  finishedAt?: number;
}

export interface AttemptRow {
  id: string;
  runId: string;
  step: string;
  branch: number;
  /** From 1. */
  number: number;
  state: AttemptState;
  /** `embedded/process`, `ray`, ... */
  tool: string;
  handle?: string;
  cause?: FailureCause | "outputs";
  exitCode?: number;
  message?: string;
  /** Where its log was put when it ended. */
  log?: ArtifactRef;
  createdAt: number;
  startedAt?: number;
  finishedAt?: number;
}

export type TrialValues = Readonly<Record<string, Json>>;

export interface CachedResult {
  attemptId: string;
  runId: string;
  outputs: Readonly<Record<string, ArtifactRef>>;
  values: Readonly<Record<string, Json>>;
}

/** Thrown as CONFLICT when the row is not in one of the expected states, or the lease has moved on. */
export interface Transition<State extends string> {
  from: readonly State[];
  to: State;
}

/** What lets a control plane drive a run: whoever claims the run next has the next epoch. */
export interface Lease {
  runId: string;
  epoch: number;
}

/**
 * What the engine needs of the record. Each transition is `UPDATE ... WHERE state IN (from) AND lease_epoch = ?` together with its
 * event row, numbered per run, in one transaction; terminal states never change; times are the database's clock (ms since the epoch).
 * Losing the lease is CONFLICT, and the engine then lets go of the run at once.
 */
export interface EngineRecord {
  /** Idempotent on the id. Rows of all steps are made with it, all pending. */
  createRun(run: NewRun): Promise<RunRow>;
  run(runId: string): Promise<RunRow | undefined>;
  steps(runId: string): Promise<StepRow[]>;
  attempts(runId: string): Promise<AttemptRow[]>;

  /** Takes queued and running runs that nobody leases (or whose lease ran out), each with a new epoch. */
  claimRuns(owner: string, leaseSeconds: number): Promise<RunRow[]>;
  /** Renews what is still held, all at once, and gives just that; a lease that is not among it is lost. */
  renewLeases(leases: readonly Lease[], leaseSeconds: number): Promise<(Lease & { cancelRequested: boolean })[]>;
  requestCancel(runId: string): Promise<void>;

  moveRun(
    runId: string,
    epoch: number,
    transition: Transition<RunState>,
    patch?: Partial<Pick<RunRow, "error">>,
  ): Promise<void>;
  moveStep(
    row: Pick<StepRow, "runId" | "step" | "branch">,
    epoch: number,
    transition: Transition<StepState>,
    patch?: Partial<Pick<StepRow, "cacheKey" | "keyParts" | "outputs" | "values" | "cachedFrom" | "reason" | "error">>,
  ): Promise<void>;
  /** Makes the branches of a mapped step from number `first` (left out: 0) on, all pending; idempotent. */
  createBranches(runId: string, epoch: number, step: string, items: readonly Json[], first?: number): Promise<void>;
  /** Idempotent on the attempt's id; it begins as `created`. */
  createAttempt(
    epoch: number,
    /** `trial`: the values of a search's trial, which the faces show with the attempt. */
    attempt: Pick<AttemptRow, "id" | "runId" | "step" | "branch" | "number" | "tool"> & { trial?: TrialValues },
  ): Promise<void>;
  /**
   * Whoever is to execute an attempt takes it first, and only one may: true for the first claimant, and whenever that one asks again. What
   * the lease can not prevent, two processes that carry out one attempt for two control planes, is prevented here.
   */
  claimAttempt(attemptId: string, claimant: string): Promise<boolean>;
  /**
   * When `step` is given, the step moves in the same transaction, so that an attempt's end and its step's end are one instant.
   * A succeeded attempt with a `cacheKey` becomes the cache entry of that key.
   */
  moveAttempt(
    attemptId: string,
    epoch: number,
    transition: Transition<AttemptState>,
    patch?: Partial<Pick<AttemptRow, "handle" | "cause" | "exitCode" | "message" | "log">>,
    step?: {
      transition: Transition<StepState>;
      patch: Partial<Pick<StepRow, "outputs" | "values" | "reason" | "error">>;
    },
  ): Promise<void>;

  /** The newest succeeded result of a cache key; its blobs may be gone, the engine checks. */
  findCached(cacheKey: Digest): Promise<CachedResult | undefined>;
  /** For `why`: the newest step rows of the same pipeline and step, at most `limit`. */
  earlierSteps(pipeline: string, step: string, limit: number): Promise<StepRow[]>;

  /**
   * Events read from a step's file: metrics, tags, notes, progress. `fromOffset` and `toOffset` are byte offsets in the event file;
   * a batch whose offset is already passed is ignored, so a repeated read doubles nothing.
   */
  appendStepEvents(
    attemptId: string,
    events: readonly StepEvent[],
    fromOffset: number,
    toOffset: number,
  ): Promise<void>;
  /** The latest value of a metric by attempt, of at most 1,000 attempts; one that never reported it is left out. */
  latestMetric(attemptIds: readonly string[], key: string): Promise<ReadonlyMap<string, number>>;
  /** The first value at `step` or later of a metric by attempt, of at most 1,000 attempts; one that has not come so far is left out. */
  metricAtStep(attemptIds: readonly string[], key: string, step: number): Promise<ReadonlyMap<string, number>>;
  /** Where reading the attempt's event file goes on. */
  eventOffset(attemptId: string): Promise<number>;

  /**
   * Several changes of one run in one transaction, in order, all or none; each means what the method of its name means.
   * Absent: the caller makes them one by one.
   */
  applyAll?(runId: string, epoch: number, changes: readonly EngineChange[]): Promise<void>;
}

/** One change of `applyAll`; its run and epoch are those of the call. */
export type EngineChange =
  | { kind: "moveRun"; transition: Transition<RunState>; patch?: Partial<Pick<RunRow, "error">> }
  | {
      kind: "moveStep";
      step: string;
      branch: number;
      transition: Transition<StepState>;
      patch?: Partial<
        Pick<StepRow, "cacheKey" | "keyParts" | "outputs" | "values" | "cachedFrom" | "reason" | "error">
      >;
    }
  | { kind: "createBranches"; step: string; items: readonly Json[]; first?: number }
  | {
      kind: "createAttempt";
      attempt: Pick<AttemptRow, "id" | "step" | "branch" | "number" | "tool"> & { trial?: TrialValues };
    }
  | {
      kind: "moveAttempt";
      attemptId: string;
      transition: Transition<AttemptState>;
      patch?: Partial<Pick<AttemptRow, "handle" | "cause" | "exitCode" | "message" | "log">>;
      step?: {
        transition: Transition<StepState>;
        patch: Partial<Pick<StepRow, "outputs" | "values" | "reason" | "error">>;
      };
    };
