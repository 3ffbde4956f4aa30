import type { CallContext, StepStatus } from "@espalier/core";
import type { RayApi } from "./ray-client.ts";
import { type DriverLine, endOfLog, readDriverLog } from "./ray-driver-log.ts";

/** What a job's driver has told, and what Ray says of the job itself. */
export interface JobView {
  /** `unknown`: Ray has no such job. */
  state: "running" | "over" | "unknown";
  statusOf(attemptId: string): StepStatus;
  /** The last that was told of an attempt; undefined: the driver has not taken it. */
  line(attemptId: string): DriverLine | undefined;
  taken(): Iterable<string>;
}

/** A job with a thousand attempts is asked for once, not a thousand times: answers younger than this serve all who ask. */
const freshMilliseconds = 400;
/** Ended jobs whose last view is kept. */
const keptJobs = 50;

export function createJobViews(api: RayApi): (job: string, context?: CallContext) => Promise<JobView> {
  const views = new Map<string, { at: number; isOver: boolean; view: Promise<JobView> }>();
  return (job, context) => {
    const known = views.get(job);
    if (known !== undefined && (known.isOver || Date.now() - known.at < freshMilliseconds)) return known.view;
    const entry = { at: Date.now(), isOver: false, view: look(api, job, context) };
    views.set(job, entry);
    entry.view.then(
      (view) => {
        entry.isOver = view.state !== "running";
        entry.at = Date.now();
        if (views.size > keptJobs) forgetOldest(views);
      },
      () => {
        if (views.get(job) === entry) views.delete(job);
      },
    );
    return entry.view;
  };
}

function forgetOldest(views: Map<string, { isOver: boolean }>): void {
  for (const [job, { isOver }] of views) {
    if (views.size <= keptJobs) return;
    if (isOver) views.delete(job);
  }
}

async function look(api: RayApi, jobId: string, context?: CallContext): Promise<JobView> {
  const job = await api.job(jobId, context);
  if (job === undefined) {
    const status: StepStatus = {
      state: "lost",
      message: `Ray no longer knows job ${jobId}: its head node was started anew`,
    };
    return { state: "unknown", line: () => undefined, statusOf: () => status, taken: () => [] };
  }
  // Asked for after the job, so that the log of a job that is over is whole.
  const text = job.status === "PENDING" ? "" : await logOf(api, jobId, context);
  const lines = readDriverLog(text);
  const isOver = job.status !== "PENDING" && job.status !== "RUNNING";
  const without = (): StepStatus => {
    if (job.status === "PENDING") return { state: "pending", reason: job.message ?? "Ray starts the job" };
    if (job.status === "RUNNING") return { state: "running" };
    if (job.status === "STOPPED") return { state: "cancelled" };
    const why = [job.message ?? "", endOfLog(text)].filter((part) => part !== "").join("\n");
    return { state: "lost", message: `Ray job ${jobId} ended as ${job.status}: ${why}` };
  };
  return {
    state: isOver ? "over" : "running",
    taken: () => lines.keys(),
    line: (attemptId) => lines.get(attemptId),
    statusOf: (attemptId) => statusOf(lines.get(attemptId), isOver) ?? without(),
  };
}

/** Of a job that just began Ray may not have the log yet, and of one whose node is gone no more; the job's own state then says all. */
async function logOf(api: RayApi, jobId: string, context?: CallContext): Promise<string> {
  try {
    return await api.logs(jobId, context);
  } catch (error) {
    context?.signal?.throwIfAborted();
    const again = await api.job(jobId, context);
    if (again === undefined || again.status === "PENDING" || again.status === "RUNNING") throw error;
    return "";
  }
}

function statusOf(line: DriverLine | undefined, isOver: boolean): StepStatus | undefined {
  if (line?.espalier === "ended") {
    return line.cancelled ? { state: "cancelled" } : { state: "exited", exitCode: line.exit_code };
  }
  if (line?.espalier === "lost") return { state: "lost", message: line.reason };
  if (line?.espalier === "waiting" && !isOver) return { state: "pending", reason: line.reason };
  return undefined;
}
