import type { RecordDatabase } from "../../database.ts";
import { createGroupCommit } from "../../group-commit.ts";
import { type CreatedRun, createRuns, type NewTrackedRun } from "./create-runs.ts";
import type { LogEntry, LogOutcome } from "./log-entry.ts";
import { writeGroup } from "./log-group.ts";

/** Writes what training loops send: many small requests, gathered into few transactions. */
export interface TrackingWriter {
  /** Resolves after the commit. Any number of points; an entry is written wholly or not at all. */
  log(entry: LogEntry): Promise<LogOutcome>;
  /** Resolves after the commit. */
  create(run: NewTrackedRun): Promise<CreatedRun>;
}

type Job = { kind: "log"; entry: LogEntry } | { kind: "create"; run: NewTrackedRun };

export function createTrackingWriter(database: RecordDatabase): TrackingWriter {
  const submit = createGroupCommit<Job, LogOutcome | CreatedRun>(database, {
    rows: (job) =>
      job.kind === "create"
        ? 1 + job.run.tags.length
        : 1 + job.entry.metrics.length + job.entry.params.length + job.entry.tags.length,
    write: async (transaction, jobs) => {
      const created = await createRuns(
        database,
        transaction,
        jobs.flatMap((job) => (job.kind === "create" ? [job.run] : [])),
      );
      const logged = await writeGroup(
        database,
        transaction,
        jobs.flatMap((job) => (job.kind === "log" ? [job.entry] : [])),
      );
      // Each list has its outcomes in the order of its jobs.
      return jobs.map((job) => (job.kind === "create" ? created.shift() : logged.shift()) as LogOutcome | CreatedRun);
    },
  });
  return {
    log: (entry) => submit({ kind: "log", entry }) as Promise<LogOutcome>,
    create: (run) => submit({ kind: "create", run }) as Promise<CreatedRun>,
  };
}
