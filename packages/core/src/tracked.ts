import type { ByteStream } from "./ports/artifact-store.ts";

/** Experiments, runs and models as MLflow's world tells them: what mirrors, imports and exports carry. Times are ms since the epoch. */

export type Lifecycle = "active" | "deleted";
export type TrackedTags = Readonly<Record<string, string>>;

export interface TrackedExperiment {
  id: string;
  name: string;
  lifecycle: Lifecycle;
  tags: TrackedTags;
  createdAt?: number;
  updatedAt?: number;
}

export interface TrackedRun {
  id: string;
  experimentId: string;
  name: string;
  user: string;
  /** RUNNING, SCHEDULED, FINISHED, FAILED or KILLED. */
  status: string;
  lifecycle: Lifecycle;
  startTime: number;
  endTime?: number;
  parentRunId?: string;
}

/** `step` and `timestamp` (ms) are 64-bit integers: beyond 2^53 they are bigint. `value` may be NaN or ±Infinity. */
export interface TrackedPoint {
  key: string;
  value: number;
  step: number | bigint;
  timestamp: number | bigint;
}

/** A data set that a run read. */
export interface TrackedInput {
  name: string;
  digest: string;
  sourceType: string;
  source: string;
  schema?: string;
  profile?: string;
  tags: TrackedTags;
}

export interface TrackedModelMetric extends TrackedPoint {
  runId: string;
  datasetName?: string;
  datasetDigest?: string;
}

/** A model as MLflow 3 logs it, registered or not. */
export interface TrackedModel {
  id: string;
  experimentId: string;
  name: string;
  runId?: string;
  /** PENDING, READY or FAILED, as MLflow names them without their prefix. */
  status: string;
  statusMessage?: string;
  type?: string;
  params: TrackedTags;
  tags: TrackedTags;
  metrics: readonly TrackedModelMetric[];
  createdAt: number;
  updatedAt: number;
}

/** A link of a run to a logged model: made by it, or read. */
export interface TrackedModelLink {
  modelId: string;
  direction: "input" | "output";
  step: number | bigint;
}

/** `path` is relative, with `/`. `open` may be called again: a failed transfer starts anew. */
export interface TrackedFile {
  path: string;
  /** Bytes; absent where nobody says it before the bytes come. */
  size?: number;
  open(): Promise<ByteStream>;
}

export interface TrackedRegisteredModel {
  name: string;
  description?: string;
  tags: TrackedTags;
  /** Alias to version. */
  aliases: Readonly<Record<string, number>>;
  createdAt: number;
  updatedAt: number;
}

export interface TrackedVersion {
  name: string;
  version: number;
  /** Where its content lies, in the words of where it comes from. */
  source: string;
  runId?: string;
  modelId?: string;
  runLink?: string;
  /** None, Staging, Production or Archived. */
  stage: string;
  /** READY, PENDING_REGISTRATION or FAILED_REGISTRATION. */
  status: string;
  statusMessage?: string;
  description?: string;
  user: string;
  tags: TrackedTags;
  createdAt: number;
  updatedAt: number;
}
