import type { Generated } from "kysely";

/** Tables of experiments, runs and what is logged to them, as Kysely sees them; the migrations say what they mean. */

export interface SettingsTable {
  project_id: string;
  key: string;
  value: string;
}

export interface CountersTable {
  project_id: string;
  name: string;
  value: number;
}

export interface ExperimentsTable {
  project_id: string;
  experiment_id: string;
  name: string;
  artifact_location: string | null;
  lifecycle_stage: string;
  creation_time: number;
  last_update_time: number;
}

export interface ExperimentTagsTable {
  project_id: string;
  experiment_id: string;
  key: string;
  value: string;
}

export interface RunsTable {
  project_id: string;
  run_id: string;
  experiment_id: string;
  parent_run_id: string | null;
  kind: string;
  run_name: string;
  user_id: string;
  status: string;
  lifecycle_stage: string;
  start_time: number;
  end_time: number | null;
  deleted_time: number | null;
  artifact_uri: string | null;
}

export interface ParamsTable {
  project_id: string;
  run_id: string;
  key: string;
  value: string;
}

export interface TagsTable {
  project_id: string;
  run_id: string;
  key: string;
  value: string;
}

/** Points of the series of `latest_metrics` that has the same `series_id`; the project is its. */
export interface MetricsTable {
  series_id: number;
  step: number | bigint;
  timestamp: number | bigint;
  value: number;
  is_nan: number;
}

export interface LatestMetricsTable {
  project_id: string;
  run_id: string;
  key: string;
  series_id: Generated<number>;
  step: number | bigint;
  timestamp: number | bigint;
  value: number;
  is_nan: number;
}

export interface InputDatasetsTable {
  project_id: string;
  dataset_id: string;
  experiment_id: string;
  name: string;
  digest: string;
  source_type: string;
  source: string;
  schema_json: string | null;
  profile_json: string | null;
}

export interface InputsTable {
  project_id: string;
  run_id: string;
  dataset_id: string;
}

export interface InputTagsTable {
  project_id: string;
  run_id: string;
  dataset_id: string;
  key: string;
  value: string;
}
