import type { RecordDatabase } from "../../database.ts";
import { createExperimentQueries, type ExperimentQueries } from "./experiments.ts";
import { createLogWriter, type LogWriter } from "./log-writer.ts";
import { createTrackedRunQueries, type TrackedRunQueries } from "./runs.ts";

/** What MLflow's clients log and look up, by area. Every list is paged and bounded. */
export interface TrackingQueries {
  /** undefined: there is no such run. */
  experimentOfRun(runId: string): Promise<string | undefined>;
  experiments: ExperimentQueries;
  runs: TrackedRunQueries;
  log: LogWriter;
}

export function createTrackingQueries(database: RecordDatabase): TrackingQueries {
  const { kysely, projectId } = database;
  return {
    experiments: createExperimentQueries(database),
    runs: createTrackedRunQueries(database),
    log: createLogWriter(database),
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
