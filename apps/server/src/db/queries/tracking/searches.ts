import { EspalierError } from "@espalier/core";
import type { Selectable } from "kysely";
import type { RecordDatabase } from "../../database.ts";
import type { ExperimentsTable } from "../../schema/tracking.ts";
import { type DatasetSummary, findDatasets } from "./search-datasets.ts";
import { type ExperimentSearch, findExperiments } from "./search-experiments.ts";
import type { RunSearch } from "./search-run-segments.ts";
import { type RunTexts, runTexts } from "./search-run-texts.ts";
import { type FoundRuns, findRuns } from "./search-runs.ts";

export interface SearchPage {
  limit: number;
  /** Of the page before. */
  cursor: string | undefined;
}

/** Searches of the tracking face. All run off the event loop, and give up when the signal aborts. */
export interface SearchQueries {
  runs(search: RunSearch, page: SearchPage, signal?: AbortSignal): Promise<FoundRuns>;
  /** What a page of runs shows, in its order, some hundred at a time. */
  runTexts(ids: readonly string[], signal?: AbortSignal): Promise<RunTexts[]>;
  experiments(
    search: ExperimentSearch,
    page: SearchPage,
    signal?: AbortSignal,
  ): Promise<{ rows: Selectable<ExperimentsTable>[]; next?: string }>;
  datasets(experimentIds: readonly string[], signal?: AbortSignal): Promise<DatasetSummary[]>;
}

export function createSearchQueries(database: RecordDatabase): SearchQueries {
  return {
    runs: (search, page, signal) => unlessGone(findRuns(database, search, page, signal), signal),
    runTexts: (ids, signal) => unlessGone(runTexts(database, ids, signal), signal),
    experiments: (search, page, signal) => unlessGone(findExperiments(database, search, page, signal), signal),
    datasets: (experimentIds, signal) => unlessGone(findDatasets(database, experimentIds, signal), signal),
  };
}

/** Whatever a query ended with after its signal, it ended for that: no failure of ours to log. */
async function unlessGone<Answer>(answer: Promise<Answer>, signal: AbortSignal | undefined): Promise<Answer> {
  try {
    return await answer;
  } catch (error) {
    if (signal?.aborted !== true) throw error;
    throw new EspalierError("UNAVAILABLE", "The search was given up: its client has gone, or the server closes");
  }
}
