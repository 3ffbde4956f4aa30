import type { CallContext, StepStatus } from "@espalier/core";
import type { RayApi } from "./ray-client.ts";
import { type DriverLine, endOfLog, feedsTaken, readDriverLog } from "./ray-driver-log.ts";
import { untilAborted } from "./ray-patience.ts";

/** What a job's driver has told, and what Ray says of the job itself. */
export interface JobView {
  /** `unknown`: Ray has no such job. `unreadable`: it ended, and what its driver told can not be had, so that anything may have been taken. */
  state: "running" | "over" | "unknown" | "unreadable";
  /** How many times it was given more attempts and took them. */
  feeds: number;
  statusOf(attemptId: string): StepStatus;
  /** The last that was told of an attempt; undefined: the driver has not taken it. */
  line(attemptId: string): DriverLine | undefined;
  taken(): Iterable<string>;
}

/** A job with a thousand attempts is asked for once, not a thousand times: answers younger than this serve all who ask. */
const freshMilliseconds = 400;
/** Ended jobs whose last view is kept. */
const keptJobs = 50;
/** How long the log of an ended job may be out of reach before its attempts count as lost. */
const unreadableMilliseconds = 300_000;

/** `mostMilliseconds`: how old the answer may be. No caller's signal reaches what others wait for as well. */
export type ViewJob = (job: string, context?: CallContext, mostMilliseconds?: number) => Promise<JobView>;

export function createJobViews(api: RayApi, patienceMilliseconds = unreadableMilliseconds): ViewJob {
  const views = new Map<string, { at: number; isUnderWay: boolean; isOver: boolean; view: Promise<JobView> }>();
  const unreadableSince = new Map<string, number>();
  const isLost = (job: string): boolean => {
    const since = unreadableSince.get(job) ?? Date.now();
    unreadableSince.set(job, since);
    return Date.now() - since >= patienceMilliseconds;
  };
  return (job, context, mostMilliseconds = freshMilliseconds) => {
    const known = views.get(job);
    const age = known?.isUnderWay ? 0 : Date.now() - (known?.at ?? 0);
    if (known !== undefined && (known.isOver || age < mostMilliseconds)) {
      return untilAborted(known.view, context?.signal);
    }
    const entry = { at: Date.now(), isUnderWay: true, isOver: false, view: look(api, job, isLost) };
    views.set(job, entry);
    entry.view.then(
      (view) => {
        Object.assign(entry, { at: Date.now(), isUnderWay: false, isOver: view.state !== "running" });
        unreadableSince.delete(job);
        if (views.size > keptJobs) forgetOldest(views);
      },
      () => {
        if (views.get(job) === entry) views.delete(job);
      },
    );
    return untilAborted(entry.view, context?.signal);
  };
}

function forgetOldest(views: Map<string, { isOver: boolean }>): void {
  for (const [job, { isOver }] of views) {
    if (views.size <= keptJobs) return;
    if (isOver) views.delete(job);
  }
}

async function look(api: RayApi, jobId: string, isLost: (job: string) => boolean): Promise<JobView> {
  const job = await api.job(jobId);
  const none = { line: () => undefined, taken: () => [], feeds: 0 };
  if (job === undefined) {
    const message = `Ray no longer knows job ${jobId}: its head node was started anew`;
    return { ...none, state: "unknown", statusOf: () => ({ state: "lost", message }) };
  }
  const isOver = job.status !== "PENDING" && job.status !== "RUNNING";
  // Asked for after the job, so that the log of a job that is over is whole.
  let text = "";
  try {
    if (job.status !== "PENDING") text = await api.logs(jobId);
  } catch (error) {
    // What can not be read says nothing of what was taken. Only after a while is it given up, for an attempt must come to an end.
    if (!isOver || !isLost(jobId)) throw error;
    const why = error instanceof Error ? error.message : String(error);
    const message = `Ray job ${jobId} ended as ${job.status}, and its log can not be read: ${why}`;
    return { ...none, state: "unreadable", statusOf: () => ({ state: "lost", message }) };
  }
  const lines = readDriverLog(text);
  const without = (): StepStatus => {
    if (job.status === "PENDING") return { state: "pending", reason: job.message ?? "Ray starts the job" };
    if (job.status === "RUNNING") return { state: "running" };
    if (job.status === "STOPPED") return { state: "cancelled" };
    const why = [job.message ?? "", endOfLog(text)].filter((part) => part !== "").join("\n");
    return { state: "lost", message: `Ray job ${jobId} ended as ${job.status}: ${why}` };
  };
  return {
    state: isOver ? "over" : "running",
    feeds: feedsTaken(text),
    taken: () => lines.keys(),
    line: (attemptId) => lines.get(attemptId),
    statusOf: (attemptId) => statusOf(lines.get(attemptId), isOver) ?? without(),
  };
}

function statusOf(line: DriverLine | undefined, isOver: boolean): StepStatus | undefined {
  if (line?.espalier === "ended") {
    return line.cancelled ? { state: "cancelled" } : { state: "exited", exitCode: line.exit_code };
  }
  if (line?.espalier === "lost") return { state: "lost", message: line.reason };
  if (line?.espalier === "waiting" && !isOver) return { state: "pending", reason: line.reason };
  return undefined;
}
