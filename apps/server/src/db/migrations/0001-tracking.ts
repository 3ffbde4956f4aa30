import type { ColumnTypes } from "./migration.ts";

/** Experiments, runs and what is logged to them: shaped so that MLflow's REST face reads them as they are. Times are ms since the epoch. */
export function trackingTables({ text, integer, real, tableEnd, clusteredEnd }: ColumnTypes): string[] {
  return [
    `CREATE TABLE settings (project_id ${text} NOT NULL, key ${text} NOT NULL, value ${text} NOT NULL,
      PRIMARY KEY (project_id, key)) ${clusteredEnd}`,
    `CREATE TABLE counters (project_id ${text} NOT NULL, name ${text} NOT NULL, value ${integer} NOT NULL,
      PRIMARY KEY (project_id, name)) ${clusteredEnd}`,

    `CREATE TABLE experiments (project_id ${text} NOT NULL, experiment_id ${text} NOT NULL, name ${text} NOT NULL,
      artifact_location ${text}, lifecycle_stage ${text} NOT NULL, creation_time ${integer} NOT NULL,
      last_update_time ${integer} NOT NULL, PRIMARY KEY (project_id, experiment_id)) ${tableEnd}`,
    "CREATE UNIQUE INDEX experiments_by_name ON experiments (project_id, name)",
    `CREATE TABLE experiment_tags (project_id ${text} NOT NULL, experiment_id ${text} NOT NULL, key ${text} NOT NULL,
      value ${text} NOT NULL, PRIMARY KEY (project_id, experiment_id, key)) ${clusteredEnd}`,

    // kind: pipeline (a run of ours), attempt (its child), external (made by an MLflow client).
    `CREATE TABLE runs (project_id ${text} NOT NULL, run_id ${text} NOT NULL, experiment_id ${text} NOT NULL,
      parent_run_id ${text}, kind ${text} NOT NULL, run_name ${text} NOT NULL, user_id ${text} NOT NULL, status ${text} NOT NULL,
      lifecycle_stage ${text} NOT NULL, start_time ${integer} NOT NULL, end_time ${integer}, deleted_time ${integer},
      artifact_uri ${text}, PRIMARY KEY (project_id, run_id)) ${tableEnd}`,
    "CREATE INDEX runs_by_experiment ON runs (project_id, experiment_id, lifecycle_stage, start_time DESC, run_id)",
    "CREATE INDEX runs_by_parent ON runs (project_id, parent_run_id)",
    `CREATE TABLE params (project_id ${text} NOT NULL, run_id ${text} NOT NULL, key ${text} NOT NULL, value ${text} NOT NULL,
      PRIMARY KEY (project_id, run_id, key)) ${clusteredEnd}`,
    `CREATE TABLE tags (project_id ${text} NOT NULL, run_id ${text} NOT NULL, key ${text} NOT NULL, value ${text} NOT NULL,
      PRIMARY KEY (project_id, run_id, key)) ${clusteredEnd}`,
    // The key that makes a repeated log harmless is also the index for reading one key's history by step.
    `CREATE TABLE metrics (project_id ${text} NOT NULL, run_id ${text} NOT NULL, key ${text} NOT NULL, step ${integer} NOT NULL,
      timestamp ${integer} NOT NULL, value ${real} NOT NULL, is_nan ${integer} NOT NULL,
      PRIMARY KEY (project_id, run_id, key, step, timestamp, value, is_nan)) ${clusteredEnd}`,
    `CREATE TABLE latest_metrics (project_id ${text} NOT NULL, run_id ${text} NOT NULL, key ${text} NOT NULL, step ${integer} NOT NULL,
      timestamp ${integer} NOT NULL, value ${real} NOT NULL, is_nan ${integer} NOT NULL,
      PRIMARY KEY (project_id, run_id, key)) ${clusteredEnd}`,
    "CREATE INDEX latest_metrics_by_value ON latest_metrics (project_id, key, is_nan, value, run_id)",

    // What a run read, as MLflow's log-inputs tells it; `dataset_versions` are ours.
    `CREATE TABLE input_datasets (project_id ${text} NOT NULL, dataset_id ${text} NOT NULL, experiment_id ${text} NOT NULL,
      name ${text} NOT NULL, digest ${text} NOT NULL, source_type ${text} NOT NULL, source ${text} NOT NULL, schema_json ${text},
      profile_json ${text}, PRIMARY KEY (project_id, dataset_id)) ${tableEnd}`,
    "CREATE UNIQUE INDEX input_datasets_by_name ON input_datasets (project_id, experiment_id, name, digest)",
    `CREATE TABLE inputs (project_id ${text} NOT NULL, run_id ${text} NOT NULL, dataset_id ${text} NOT NULL,
      PRIMARY KEY (project_id, run_id, dataset_id)) ${clusteredEnd}`,
    `CREATE TABLE input_tags (project_id ${text} NOT NULL, run_id ${text} NOT NULL, dataset_id ${text} NOT NULL,
      key ${text} NOT NULL, value ${text} NOT NULL, PRIMARY KEY (project_id, run_id, dataset_id, key)) ${clusteredEnd}`,
  ];
}
