import { isEspalierError } from "@espalier/core";
import type { RayApi } from "./ray-client.ts";
import { jobMark } from "./ray-submitted.ts";

const hourMilliseconds = 3_600_000;
/** What another control plane submitted is kept longer: whether its attempts are taken in, only that one knows. */
const othersMilliseconds = 7 * 24 * hourMilliseconds;

export interface JobsToTell {
  /** This process waits for the ends of these attempts of a job. */
  placed(job: string, attemptIds: readonly string[]): void;
  told(job: string, attemptId: string): void;
  /** At most once an hour: takes jobs off Ray's list that ended long enough ago. */
  tidy(now?: number): Promise<void>;
}

/** Ray keeps every job that ever ended, and lists them all in one answer. */
export function createJobsToTell(api: Pick<RayApi, "jobs" | "forget">, keepHours = 24): JobsToTell {
  const untold = new Map<string, Set<string>>();
  let tidiedAt: number | undefined;
  return {
    placed(job, attemptIds) {
      const those = untold.get(job) ?? new Set();
      for (const attemptId of attemptIds) those.add(attemptId);
      untold.set(job, those);
    },
    told(job, attemptId) {
      untold.get(job)?.delete(attemptId);
    },
    async tidy(now = Date.now()) {
      if (tidiedAt !== undefined && now - tidiedAt < hourMilliseconds) return;
      tidiedAt = now;
      try {
        for (const { submission_id: job, metadata, end_time } of await api.jobs()) {
          if (!job || !end_time || metadata?.[jobMark] === undefined) continue;
          const age = now - end_time - keepHours * hourMilliseconds;
          const left = untold.get(job)?.size;
          if (left === undefined ? age < othersMilliseconds : left > 0 || age < 0) continue;
          await api.forget(job);
          untold.delete(job);
        }
      } catch (error) {
        // Ray that is away for a moment must not end a submission that has succeeded; the next hour comes.
        if (!isEspalierError(error) || !error.retryable) throw error;
      }
    },
  };
}
