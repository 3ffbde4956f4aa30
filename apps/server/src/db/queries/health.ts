import { sql } from "kysely";
import type { RecordDatabase } from "../database.ts";

export interface RecordHealth {
  schemaVersion: number;
  /** The database's clock minus ours, at most; milliseconds. */
  clockSkewMilliseconds: number;
  /** Runs that go on by their state, and that nobody has driven for a while. */
  abandonedRuns: { runId: string; since: number }[];
  /** Attempts that go on by their state, of runs that have ended. */
  strayAttempts: { attemptId: string; runId: string; step: string; tool: string }[];
  /** Uploads of files that were begun before a day and have not ended. */
  oldUploads: number;
}

export interface HealthQueries {
  look(): Promise<RecordHealth>;
}

/** A lease runs out within seconds; what nobody has taken for so long, nobody drives. */
const abandonedMilliseconds = 120_000;
const dayMilliseconds = 24 * 3600 * 1000;
const shown = 100;

export function createHealthQueries(database: RecordDatabase): HealthQueries {
  const { kysely, projectId } = database;
  const active = ["queued", "running"];
  return {
    look: async () => {
      const versions = await sql<{ version: number }>`SELECT max(version) AS version FROM schema_versions`.execute(
        kysely,
      );
      const before = Date.now();
      const clock = await sql<{ now: number }>`SELECT ${database.now} AS now`.execute(kysely);
      const after = Date.now();
      const told = Number(clock.rows[0]?.now ?? before);
      const skew = told < before ? told - before : told > after ? told - after : 0;
      const abandoned = await kysely
        .selectFrom("pipeline_runs")
        .select(["run_id", "lease_until", "created_at"])
        .where("project_id", "=", projectId)
        .where("state", "in", active)
        .where(sql<boolean>`coalesce(lease_until, created_at) < ${database.now} - ${abandonedMilliseconds}`)
        .limit(shown)
        .execute();
      const stray = await kysely
        .selectFrom("attempts")
        .innerJoin("pipeline_runs", (join) =>
          join
            .onRef("pipeline_runs.project_id", "=", "attempts.project_id")
            .onRef("pipeline_runs.run_id", "=", "attempts.run_id"),
        )
        .select(["attempts.attempt_id", "attempts.run_id", "attempts.step", "attempts.tool"])
        .where("attempts.project_id", "=", projectId)
        .where("attempts.state", "in", ["created", "submitted", "collecting"])
        .where("pipeline_runs.state", "in", ["succeeded", "failed", "cancelled"])
        .limit(shown)
        .execute();
      const uploads = await kysely
        .selectFrom("file_uploads")
        .select(sql<number>`count(*)`.as("uploads"))
        .where("project_id", "=", projectId)
        .where("completed_at", "is", null)
        .where(sql<boolean>`created_at < ${database.now} - ${dayMilliseconds}`)
        .executeTakeFirst();
      return {
        schemaVersion: Number(versions.rows[0]?.version ?? 0),
        clockSkewMilliseconds: skew,
        abandonedRuns: abandoned.map(({ run_id, lease_until, created_at }) => ({
          runId: run_id,
          since: Number(lease_until ?? created_at),
        })),
        strayAttempts: stray.map(({ attempt_id, run_id, step, tool }) => ({
          attemptId: attempt_id,
          runId: run_id,
          step,
          tool,
        })),
        oldUploads: Number(uploads?.uploads ?? 0),
      };
    },
  };
}
