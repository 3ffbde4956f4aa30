import { terminalRunStates } from "@espalier/core";
import { sql } from "kysely";
import type { RecordDatabase, RecordTransaction } from "../database.ts";

export interface RetentionQueries {
  /**
   * Runs that ended before an instant and that nothing refers to: no dataset or model version, no verdict, no result that another run
   * took. Oldest first, at most `limit` (1000).
   */
  forgettable(finishedBefore: number, limit?: number): Promise<string[]>;
  /** Deletes such runs with all that belongs to them; the ids that are gone. One that is referred to meanwhile stays. */
  forget(finishedBefore: number, limit?: number): Promise<string[]>;
}

export function createRetentionQueries(database: RecordDatabase): RetentionQueries {
  return {
    forgettable: (finishedBefore, limit = 1000) => select(database, database.kysely, finishedBefore, limit),
    forget: (finishedBefore, limit = 1000) =>
      database.transaction(async (transaction) => {
        const runs = await select(database, transaction, finishedBefore, limit);
        for (const runId of runs) await deleteRun(database, transaction, runId);
        return runs;
      }),
  };
}

async function select(
  database: RecordDatabase,
  source: Pick<RecordTransaction, "selectFrom">,
  finishedBefore: number,
  limit: number,
): Promise<string[]> {
  const referring = (table: "dataset_versions" | "model_versions" | "verdicts") => sql<boolean>`NOT EXISTS (
    SELECT 1 FROM ${sql.table(table)} other WHERE other.project_id = run.project_id AND other.run_id = run.run_id)`;
  const rows = await source
    .selectFrom("pipeline_runs as run")
    .select("run.run_id")
    .where("run.project_id", "=", database.projectId)
    .where("run.state", "in", [...terminalRunStates])
    .where("run.finished_at", "<", finishedBefore)
    .where(referring("dataset_versions"))
    .where(referring("model_versions"))
    .where(referring("verdicts"))
    .where(
      sql<boolean>`NOT EXISTS (SELECT 1 FROM attempts one JOIN steps taker
        ON taker.project_id = one.project_id AND taker.cached_from = one.attempt_id
        WHERE one.project_id = run.project_id AND one.run_id = run.run_id)`,
    )
    .orderBy("run.created_at")
    .orderBy("run.run_id")
    .limit(Math.min(limit, 1000))
    .execute();
  return rows.map((row) => row.run_id);
}

async function deleteRun(database: RecordDatabase, transaction: RecordTransaction, runId: string): Promise<void> {
  const attempts = transaction
    .selectFrom("attempts")
    .select("attempt_id")
    .where("project_id", "=", database.projectId)
    .where("run_id", "=", runId);
  const series = transaction
    .selectFrom("latest_metrics")
    .select("series_id")
    .where("project_id", "=", database.projectId)
    .where((columns) => columns.or([columns("run_id", "=", runId), columns("run_id", "in", attempts)]));
  await transaction.deleteFrom("metrics").where("series_id", "in", series).execute();
  for (const table of ["params", "tags", "latest_metrics", "inputs", "input_tags", "runs"] as const) {
    await transaction
      .deleteFrom(table)
      .where("project_id", "=", database.projectId)
      .where((columns) => columns.or([columns("run_id", "=", runId), columns("run_id", "in", attempts)]))
      .execute();
  }
  for (const table of ["run_events", "cache_entries", "approvals", "attempts", "steps", "pipeline_runs"] as const) {
    await transaction
      .deleteFrom(table)
      .where("project_id", "=", database.projectId)
      .where("run_id", "=", runId)
      .execute();
  }
}
