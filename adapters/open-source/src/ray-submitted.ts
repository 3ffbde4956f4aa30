import { setTimeout as delay } from "node:timers/promises";
import { EspalierError } from "@espalier/core";
import type { RayApi } from "./ray-client.ts";
import type { JobView, ViewJob } from "./ray-jobs.ts";

/** Of a job's metadata: the attempts that it began with. */
export const jobMark = "espalier.attempts";

/** Attempts that a running job is to take, for the `number`th time. A number is used once, so that nothing is replaced unread. */
export const feedName = (job: string, number: number): string => `${job}.more.${number}.zip`;

const pollMilliseconds = 250;

/**
 * Finds the jobs of attempts that are on the cluster already, whoever submitted them. The log of an ended job is read once. UNAVAILABLE: a job's log can not be read, or its
 * driver does not take what it was given, so that nobody knows whether an attempt is there.
 */
export function createFinder(
  api: Pick<RayApi, "jobs" | "hasPackage">,
  viewOf: ViewJob,
  patienceMilliseconds = 60_000,
): () => Promise<Map<string, string>> {
  const ended = new Map<string, readonly string[]>();

  /** Another process may have put something there that the driver is about to take; it tells so before it removes it. */
  async function settled(job: string): Promise<JobView> {
    const deadline = Date.now() + patienceMilliseconds;
    for (;;) {
      const view = await viewOf(job, undefined, 0);
      if (view.state !== "running") return view;
      if (!(await api.hasPackage(feedName(job, view.feeds + 1)))) {
        const after = await viewOf(job, undefined, 0);
        if (after.feeds === view.feeds) return after;
      } else if (Date.now() > deadline) {
        throw new EspalierError(
          "UNAVAILABLE",
          `The driver of Ray job ${job} does not take the attempts that it was given`,
        );
      }
      await delay(pollMilliseconds);
    }
  }

  return async () => {
    const found = new Map<string, string>();
    const jobs = (await api.jobs()).filter(({ metadata }) => metadata?.[jobMark] !== undefined);
    const present = new Set(jobs.map(({ submission_id }) => submission_id));
    for (const job of ended.keys()) if (!present.has(job)) ended.delete(job);
    for (const { submission_id: job, metadata } of jobs) {
      if (!job) continue;
      let attempts = ended.get(job);
      if (attempts === undefined) {
        const view = await settled(job);
        if (view.state === "unreadable") {
          throw new EspalierError("UNAVAILABLE", `Which attempts Ray job ${job} took can not be read from its log`);
        }
        attempts = [...(metadata?.[jobMark]?.split(",") ?? []), ...view.taken()];
        if (view.state === "over") ended.set(job, attempts);
      }
      for (const attemptId of attempts) found.set(attemptId, job);
    }
    return found;
  };
}
