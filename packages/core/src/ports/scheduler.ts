export interface ScheduleEntry {
  id: string;
  cron: string;
  timezone: string;
}

/**
 * Milestone 13, retrain: calls back when a cron instant is due. What a firing means (logical date, catch-up, overlap) is the
 * trunk's; firings are idempotent on (id, due). Errors: INVALID_INPUT (cron), UNAVAILABLE.
 */
export interface Scheduler {
  upsert(entry: ScheduleEntry): Promise<void>;
  delete(id: string): Promise<void>;
  list(): Promise<ScheduleEntry[]>;
  /** Begins to fire; returns how to stop. Absent: the service calls the control plane's fire route. */
  start?(fire: (id: string, due: Date) => Promise<void>): () => Promise<void>;
}
