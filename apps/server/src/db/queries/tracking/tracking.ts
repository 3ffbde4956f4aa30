import type { RecordDatabase } from "../../database.ts";
import { createExperimentQueries, type ExperimentQueries } from "./experiments.ts";
import { createHistoryQueries, type HistoryQueries } from "./history.ts";
import { createInputQueries, type InputQueries } from "./inputs.ts";
import { createTrackedRunQueries, type TrackedRunQueries } from "./runs.ts";
import { createSearchQueries, type SearchQueries } from "./searches.ts";
import { createTrackingWriter, type TrackingWriter } from "./tracking-writer.ts";

/** What MLflow's clients log and look up, by area. Every list is paged and bounded. */
export interface TrackingQueries {
  /** undefined: there is no such run. */
  experimentOfRun(runId: string): Promise<string | undefined>;
  experiments: ExperimentQueries;
  runs: TrackedRunQueries;
  log: TrackingWriter["log"];
  inputs: InputQueries;
  history: HistoryQueries;
  search: SearchQueries;
}

export function createTrackingQueries(database: RecordDatabase): TrackingQueries {
  const { kysely, projectId } = database;
  const writer = createTrackingWriter(database);
  return {
    experiments: createExperimentQueries(database),
    runs: createTrackedRunQueries(database, writer),
    log: writer.log,
    inputs: createInputQueries(database),
    history: createHistoryQueries(database),
    search: createSearchQueries(database),
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
