/** Tables of logged models, as Kysely sees them; the migrations say what they mean. */

export interface LoggedModelsTable {
  project_id: string;
  model_id: string;
  experiment_id: string;
  name: string;
  artifact_location: string;
  source_run_id: string | null;
  status: string;
  status_message: string | null;
  model_type: string | null;
  lifecycle_stage: string;
  creation_time: number;
  last_updated_time: number;
}

export interface LoggedModelParamsTable {
  project_id: string;
  model_id: string;
  key: string;
  value: string;
}

export interface LoggedModelTagsTable {
  project_id: string;
  model_id: string;
  key: string;
  value: string;
}

export interface LoggedModelMetricsTable {
  project_id: string;
  model_id: string;
  key: string;
  timestamp: number | bigint;
  step: number | bigint;
  run_id: string;
  value: number;
  is_nan: number;
  dataset_name: string;
  dataset_digest: string;
}

export interface RunModelsTable {
  project_id: string;
  run_id: string;
  model_id: string;
  direction: string;
  step: number | bigint;
}
