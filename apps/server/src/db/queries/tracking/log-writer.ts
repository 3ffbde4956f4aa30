import type { RecordDatabase } from "../../database.ts";
import { noteTracking } from "../../mirror-changes.ts";
import { prepared } from "../../prepared.ts";
import { logMetrics } from "../metrics.ts";
import type { LogEntry, LogOutcome } from "./log-entry.ts";

/** Writes what clients log. Resolves after the commit. */
export interface LogWriter {
  write(entry: LogEntry): Promise<LogOutcome>;
}

export function createLogWriter(database: RecordDatabase): LogWriter {
  const run = prepared<{ experiment_id: string; lifecycle_stage: string }>(
    database,
    "SELECT experiment_id, lifecycle_stage FROM runs WHERE project_id = ? AND run_id = ?",
  );
  return {
    write: (entry) =>
      database.transaction(async (transaction): Promise<LogOutcome> => {
        const { projectId } = database;
        const found = await run.first(transaction, [projectId, entry.runId]);
        if (found === undefined) return { kind: "missing" };
        if (entry.within !== undefined && entry.within !== found.experiment_id) {
          return { kind: "foreign", experimentId: found.experiment_id };
        }
        if (found.lifecycle_stage !== "active") return { kind: "deleted" };
        for (const { key, value } of entry.params) {
          const stored = await transaction
            .selectFrom("params")
            .select("value")
            .where("project_id", "=", projectId)
            .where("run_id", "=", entry.runId)
            .where("key", "=", key)
            .executeTakeFirst();
          if (stored !== undefined && stored.value !== value) {
            return { kind: "params-differ", params: [{ key, stored: stored.value, given: value }] };
          }
          await transaction
            .insertInto("params")
            .values({ project_id: projectId, run_id: entry.runId, key, value })
            .onConflict((conflict) => conflict.doNothing())
            .execute();
        }
        await logMetrics(database, transaction, entry.runId, entry.metrics);
        for (const { key, value } of entry.tags) {
          await transaction
            .insertInto("tags")
            .values({ project_id: projectId, run_id: entry.runId, key, value })
            .onConflict((conflict) => conflict.columns(["project_id", "run_id", "key"]).doUpdateSet({ value }))
            .execute();
        }
        if (entry.metrics.length > 0) {
          await noteTracking(database, transaction, { kind: "metrics", subject: entry.runId, points: entry.metrics });
        }
        return { kind: "logged" };
      }),
  };
}
