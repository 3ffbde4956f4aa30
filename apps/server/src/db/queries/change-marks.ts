import { createHash } from "node:crypto";
import { type RawBuilder, sql } from "kysely";
import type { RecordDatabase } from "../database.ts";

/** A short text per topic that differs when what the record holds of it does. */
export interface ChangeMarks {
  runs: string;
  data: string;
  models: string;
  endpoints: string;
  monitoring: string;
  changes: string;
}

export interface ChangeQueries {
  /** Made from the record alone, so that marks of an earlier process can be held against those of this one. */
  marks(): Promise<ChangeMarks>;
}

/**
 * Each question is answered by an index or from a small table, and runs that are over are not looked at: their end is seen by their leaving
 * the active ones.
 */
export function createChangeQueries(database: RecordDatabase): ChangeQueries {
  const { kysely, projectId } = database;
  const mark = async (...questions: RawBuilder<unknown>[]): Promise<string> => {
    const hash = createHash("sha256");
    for (const question of questions) {
      const { rows } = await question.execute(kysely);
      hash.update(JSON.stringify(rows, (_, value) => (typeof value === "bigint" ? String(value) : value)));
    }
    return hash.digest("hex").slice(0, 12);
  };
  const newest = (table: string, ...columns: string[]): RawBuilder<unknown> =>
    sql`SELECT count(*) AS c, ${sql.join(columns.map((column, index) => sql`max(${sql.ref(column)}) AS ${sql.ref(`m${index}`)}`))}
      FROM ${sql.table(table)} WHERE project_id = ${projectId}`;
  return {
    marks: async () => ({
      runs: await mark(
        sql`SELECT run_id FROM pipeline_runs WHERE project_id = ${projectId} ORDER BY created_at DESC, run_id DESC LIMIT 1`,
        sql`SELECT run_id, state, last_event FROM pipeline_runs
          WHERE project_id = ${projectId} AND state IN ('queued', 'running') ORDER BY created_at, run_id`,
      ),
      data: await mark(newest("dataset_versions", "created_at"), newest("datasets", "updated_at")),
      models: await mark(
        newest("registered_models", "last_updated_time"),
        sql`SELECT name, version, last_updated_time FROM model_versions
          WHERE project_id = ${projectId} ORDER BY last_updated_time DESC, name, version DESC LIMIT 1`,
        sql`SELECT verdict_id FROM verdicts WHERE project_id = ${projectId} ORDER BY created_at DESC, verdict_id DESC LIMIT 1`,
        newest("alias_history", "changed_at"),
      ),
      endpoints: await mark(
        newest("endpoints", "updated_at", "generation", "deleted_at"),
        newest("endpoint_generations", "created_at"),
        sql`SELECT rollout_id, state, weight, details FROM rollouts WHERE project_id = ${projectId} AND finished_at IS NULL ORDER BY rollout_id`,
        newest("rollouts", "finished_at"),
      ),
      monitoring: await mark(
        newest("monitors", "updated_at"),
        newest("monitor_reports", "created_at"),
        sql`SELECT simulation_id, state, progress FROM simulations WHERE project_id = ${projectId}
          ORDER BY started_at DESC, simulation_id DESC LIMIT 5`,
      ),
      changes: await mark(
        sql`SELECT number FROM audit WHERE project_id = ${projectId} ORDER BY number DESC LIMIT 1`,
        sql`SELECT approval_id FROM approvals WHERE project_id = ${projectId} ORDER BY requested_at DESC, approval_id DESC LIMIT 1`,
      ),
    }),
  };
}
