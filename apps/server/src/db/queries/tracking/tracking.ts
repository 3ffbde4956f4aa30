import type { RecordDatabase } from "../../database.ts";

/** What MLflow's clients log and look up, by area. Every list is paged and bounded. */
export interface TrackingQueries {
  /** undefined: there is no such run. */
  experimentOfRun(runId: string): Promise<string | undefined>;
}

export function createTrackingQueries(database: RecordDatabase): TrackingQueries {
  const { kysely, projectId } = database;
  return {
    experimentOfRun: async (runId) => {
      const row = await kysely
        .selectFrom("runs")
        .select("experiment_id")
        .where("project_id", "=", projectId)
        .where("run_id", "=", runId)
        .executeTakeFirst();
      return row?.experiment_id;
    },
  };
}
