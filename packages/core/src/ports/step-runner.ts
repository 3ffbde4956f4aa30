import type { ResourcesIr } from "../ir/pipeline.ts";
import type { CallContext } from "./artifact-store.ts";

/** What a runner is asked to start: one attempt of one step, prepared so that the same attempt id always means the same work. */
export interface StepSpec {
  attemptId: string;
  /** true: this process has just minted the attempt's id, so nobody can have submitted it before, and a runner need not look. */
  fresh?: boolean;
  /** Readable: pipeline, step and attempt number, for names and labels. */
  label: string;
  work: LocalWork | RemoteWork;
  resources: ResourcesIr;
  /** An image, where the runner has images. */
  image?: string;
  /**
   * A gang: the same work on so many nodes (or processes, where there is one machine) at one time, `resources` for each; left out, 1. All
   * start or none does. Each finds `ESPALIER_NODES`, `ESPALIER_NODE_RANK` (0 is the first), `MASTER_ADDR` and `MASTER_PORT` (the names
   * that torchrun uses, of rank 0's node). Outputs, events and log are rank 0's; when one fails, the others are stopped and the attempt
   * ended with its exit code. A runner without gangs refuses with INVALID_INPUT.
   */
  nodes?: number;
  /** Seconds between SIGTERM and SIGKILL. */
  graceSeconds: number;
  /**
   * The step's timeout, which the engine itself enforces. For tools whose queue wants to know how long a job may take, and as a second
   * hand should the control plane be away; a tool's own limit lies beyond it.
   */
  timeoutSeconds?: number;
}

/** For a runner that shares the control plane's file system: everything lies ready. */
export interface LocalWork {
  kind: "local";
  /** Run through `/bin/sh -c`. */
  command: string;
  /** The materialised snapshot of `source:`; the command's working folder. */
  workingDirectory: string;
  /**
   * The attempt's own folder, where the runner leaves `log` and `exit.json`. Before the work can start it makes `identity` there (content of
   * its own): a folder that has one is never laid out again, since a step may be reading it.
   */
  attemptDirectory: string;
  /** Whole environment of the step, secrets included; never logged. */
  variables: Readonly<Record<string, string>>;
}

/** For a runner elsewhere: the one-file launcher (`python/launcher.py`) gets all else from this URL with this token. */
export interface RemoteWork {
  kind: "remote";
  manifestUrl: string;
  token: string;
}

export type StepStatus =
  /** `reason`: why it waits, in the tool's words. */
  | { state: "pending"; reason?: string }
  | { state: "running" }
  /** The command ended by itself; `exitCode` 0 is success, 128 + n a signal. `reason`: what the tool knows of why, in its words. */
  | { state: "exited"; exitCode: number; reason?: string }
  | { state: "cancelled" }
  /** The tool no longer knows the attempt, or its machine is gone. `cause`: the tool itself ended it at a time limit of its own. */
  | { state: "lost"; message: string; cause?: "timeout" };

/**
 * Milestone 5, train and tune: runs attempts, never graphs. A handle is a string that outlives the control plane.
 *
 * Errors: INVALID_INPUT (resources it cannot give), UNAVAILABLE, UNREACHABLE, NOT_INSTALLED, PERMISSION_DENIED.
 */
export interface StepRunner {
  /** true: takes LocalWork. false: takes RemoteWork. */
  readonly sharesFiles: boolean;
  /** true: LocalWork runs on another machine that sees the same files, so that 127.0.0.1 is not the control plane there. */
  readonly elsewhere?: boolean;
  /** Finds by attempt id first: a second submit of one attempt returns the same handle and starts nothing. */
  submit(spec: StepSpec, context?: CallContext): Promise<string>;
  status(handle: string, context?: CallContext): Promise<StepStatus>;
  /**
   * Log bytes from an offset on, at most 1 MiB a call; `next` is the offset to ask for next. Of LocalWork it is the step's log; of
   * RemoteWork, whose step's log comes by the launcher, what the tool itself kept: the launcher's own words, or nothing.
   */
  logs(handle: string, offset: number, context?: CallContext): Promise<{ bytes: Uint8Array; next: number }>;
  /**
   * SIGTERM, then SIGKILL after `graceSeconds`, or after the tool's own period where it lets nobody choose (its manifest's losses say so).
   * Cancelling what has ended is success. Does not wait.
   */
  cancel(handle: string, graceSeconds: number, context?: CallContext): Promise<void>;
  /** Asks the service whether it answers and lets us in, and tells in a few words what it said. Absent: there is nothing to ask. */
  look?(context?: CallContext): Promise<string>;
  /** Resolves with the first status that is neither pending nor running. Absent: the engine polls `status`. */
  wait?(handle: string, context?: CallContext): Promise<StepStatus>;
}
