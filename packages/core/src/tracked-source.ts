import type {
  TrackedExperiment,
  TrackedFile,
  TrackedInput,
  TrackedModel,
  TrackedModelLink,
  TrackedPoint,
  TrackedRegisteredModel,
  TrackedRun,
  TrackedTags,
  TrackedVersion,
} from "./tracked.ts";

/** A run as a source tells it; its points and files are read by themselves. */
export interface SourceRun {
  run: TrackedRun;
  params: TrackedTags;
  tags: TrackedTags;
  metricKeys: readonly string[];
  inputs: readonly TrackedInput[];
  models: readonly TrackedModelLink[];
  /** Where its files lie, in the source's words. */
  artifactUri: string;
}

export interface SourceModel {
  model: TrackedModel;
  artifactUri: string;
}

/**
 * Where an import reads from. Every list is streamed, and may be read again. Errors: INVALID_INPUT (this is no MLflow store),
 * INVALID_DATA (a damaged part, named), UNREACHABLE, UNAUTHENTICATED and the like. `files` throws UNSUPPORTED for files that this
 * source does not reach (a bucket of somebody else's).
 */
export interface TrackedSource {
  /** The same for the same source at any time: the key of what has been imported from it. */
  readonly identity: string;
  /** What it is, such as `MLflow server 3.17.2`. */
  readonly description: string;
  /** What this source can not give, told once: what was met so far. */
  losses(): readonly string[];
  /** Reads everything that is small, so that a damaged part is told before anything is written. */
  check?(): Promise<void>;
  experiments(): AsyncIterable<TrackedExperiment>;
  runs(experimentId: string): AsyncIterable<SourceRun>;
  /** Batches of at most 5,000 points, key by key. */
  points(run: SourceRun): AsyncIterable<readonly TrackedPoint[]>;
  files(owner: SourceRun | SourceModel): AsyncIterable<TrackedFile>;
  loggedModels(experimentId: string): AsyncIterable<SourceModel>;
  registeredModels(): AsyncIterable<TrackedRegisteredModel>;
  versions(name: string): AsyncIterable<TrackedVersion>;
  close(): Promise<void>;
}
