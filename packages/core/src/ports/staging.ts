import type { ArtifactRef } from "../artifact.ts";
import type { Json } from "../canonical-json.ts";
import type { ArtifactType, ResourcesIr } from "../ir/pipeline.ts";
import type { StepEvent } from "../step-contract.ts";
import type { CallContext } from "./artifact-store.ts";
import type { LocalWork, RemoteWork, StepStatus } from "./step-runner.ts";

/** `implementation` is what the cache key says of it: one elsewhere must be the same. */
export interface BuiltinProgram {
  builtin: string;
  implementation?: string;
}

/** Everything that decides what one attempt does. One attempt id always comes with an equal order, also after a restart. */
export interface WorkOrder {
  attemptId: string;
  runId: string;
  pipeline: string;
  step: string;
  /** Index of a mapped step's branch, -1 otherwise. */
  branch: number;
  program: { run: string } | BuiltinProgram | { typescript: string };
  inputs: Readonly<Record<string, ArtifactRef>>;
  /** `optional`: a gate that refuses leaves no model. */
  outputs: Readonly<Record<string, { type: ArtifactType; optional?: boolean }>>;
  params: Readonly<Record<string, Json>>;
  with: Readonly<Record<string, Json>>;
  /** Snapshot of `source:`. For a single file, `sourceName` is its name in the working folder. */
  source?: ArtifactRef;
  sourceName?: string;
  /** The lock file of a Python environment. */
  environment?: { lock: ArtifactRef; pythonVersion?: string };
  /** Names; values come from the secret store when the attempt is prepared. */
  secrets: readonly string[];
  /** Name of the checkpoint folder, the same for all attempts at the same work. */
  checkpoint?: string;
  /** ISO 8601 instant. */
  logicalDate: string;
  resources: ResourcesIr;
  /** Members of a gang; left out, 1. */
  nodes?: number;
  timeoutSeconds?: number;
  graceSeconds: number;
}

export interface CollectedOutputs {
  outputs: Readonly<Record<string, ArtifactRef>>;
  /** Documents of the outputs of type `value`. */
  values: Readonly<Record<string, Json>>;
}

/**
 * Lays out what a step sees and takes in what it leaves, on the control plane's disk. All idempotent: after a crash the engine repeats
 * whatever it was doing. Errors: NOT_FOUND and CORRUPTED (an input's blobs), ENVIRONMENT_FAILED, NOT_INSTALLED, DISK_FULL.
 */
export interface Staging {
  /** An attempt that was already submitted keeps its folder as it is. `elsewhere`: as the runner says. */
  prepare(
    order: WorkOrder,
    sharesFiles: boolean,
    context?: CallContext & { elsewhere?: boolean },
  ): Promise<LocalWork | RemoteWork>;
  /** Publishes the outputs. STEP_FAILED: one is missing or not of its declared type. */
  collect(order: WorkOrder): Promise<CollectedOutputs>;
  /** A tree with the entries `00000`, `00001`, ... of these artifacts. */
  gather(branches: readonly ArtifactRef[]): Promise<ArtifactRef>;
  /** Whole lines of the event file from a byte offset on; values of these secrets are masked. */
  readEvents(
    attemptId: string,
    offset: number,
    secrets?: readonly string[],
  ): Promise<{ events: StepEvent[]; next: number }>;
  /** Publishes the attempt's log and returns its last lines, both with secrets masked. `log` is absent when it is empty. */
  closeLog(order: WorkOrder, tailLines: number): Promise<{ log?: ArtifactRef; tail: string }>;
  /**
   * How an attempt elsewhere ended, as its launcher told; `lost` when the launcher itself gave up. Undefined: it has said nothing. The
   * engine asks when the tool knows less than this: Slurm forgets its jobs within minutes, a cluster may be gone with its own.
   */
  lastWord?(attemptId: string): Promise<StepStatus | undefined>;
  /** Removes what is no longer needed of an attempt that ended; its checkpoint too when `succeeded`. */
  discard(order: WorkOrder, succeeded: boolean): Promise<void>;
}
