import type {
  TrackedExperiment,
  TrackedFile,
  TrackedInput,
  TrackedModel,
  TrackedModelLink,
  TrackedPoint,
  TrackedRun,
  TrackedTags,
} from "../tracked.ts";
import type { CallContext } from "./artifact-store.ts";

export interface RunContent {
  params?: TrackedTags;
  /** null deletes the tag. */
  tags?: Readonly<Record<string, string | null>>;
  points?: readonly TrackedPoint[];
  inputs?: readonly TrackedInput[];
  /** Model ids are those over there. */
  models?: readonly TrackedModelLink[];
}

/** Where files over there lie: a run's folder, or a logged model's. */
export type RemoteHome = { kind: "run"; id: string } | { kind: "model"; id: string };

/**
 * Milestone 6, track experiments: a server elsewhere that shows what our record holds. Ids in its answers are its own; it ties each thing
 * to ours (by a tag) and finds it again, so that every method may be repeated, also by a process that has forgotten the first time.
 *
 * Errors: UNREACHABLE, UNAVAILABLE, RATE_LIMITED, TIMEOUT (try again), UNAUTHENTICATED, PERMISSION_DENIED, INVALID_INPUT, NOT_FOUND
 * (an id it no longer knows), UNSUPPORTED (it has no such thing).
 */
export interface TrackerMirror {
  /** Makes it or brings it up to date (name, tags, lifecycle), and answers its id there. `known` is what an earlier call answered. */
  putExperiment(experiment: TrackedExperiment, known?: string, context?: CallContext): Promise<string>;
  /** As `putExperiment`, with name, status, times and lifecycle; `experimentId` and `parentRunId` are ids over there. */
  putRun(run: TrackedRun, known?: string, context?: CallContext): Promise<string>;
  /** Adds to a run, any amount. A parameter that has another value over there is left as it is and told in the answer. */
  log(runId: string, content: RunContent, context?: CallContext): Promise<{ refused: string[] }>;
  /** A logged model, its `experimentId` and `runId` being ids over there. UNSUPPORTED where servers have none. */
  putModel(model: TrackedModel, known?: string, context?: CallContext): Promise<string>;
  /** Streams a file into a run's or a model's folder; the same path again is replaced. UNSUPPORTED: it takes no files. */
  putFile(home: RemoteHome, file: TrackedFile, context?: CallContext): Promise<void>;
  /** Whether it answers and lets us in, and what it is. */
  check(context?: CallContext): Promise<{ version: string }>;
}
