import type { ColumnTypes } from "./migration.ts";

/** Indexes that a search of runs walks. Values are cut: PostgreSQL indexes at most 2.7 KB, and nobody compares longer texts. */
export function searchIndexes(_types: ColumnTypes): string[] {
  return [
    "CREATE INDEX params_by_value ON params (project_id, key, substr(value, 1, 64), run_id)",
    "CREATE INDEX tags_by_value ON tags (project_id, key, substr(value, 1, 64), run_id)",
    // All that a search asks of each run it passes, so that it need not look at the run itself.
    "CREATE INDEX runs_by_id ON runs (project_id, run_id, experiment_id, lifecycle_stage, start_time)",
  ];
}
