import type { ColumnTypes } from "./migration.ts";

/** Models as MLflow 3 logs them: made by a run, with parameters, tags and metrics of their own, registered or not. Times are ms. */
export function loggedModelTables({ text, integer, real, tableEnd, clusteredEnd }: ColumnTypes): string[] {
  return [
    `CREATE TABLE logged_models (project_id ${text} NOT NULL, model_id ${text} NOT NULL, experiment_id ${text} NOT NULL,
      name ${text} NOT NULL, artifact_location ${text} NOT NULL, source_run_id ${text}, status ${text} NOT NULL, status_message ${text},
      model_type ${text}, lifecycle_stage ${text} NOT NULL, creation_time ${integer} NOT NULL, last_updated_time ${integer} NOT NULL,
      PRIMARY KEY (project_id, model_id)) ${tableEnd}`,
    "CREATE INDEX logged_models_by_experiment ON logged_models (project_id, experiment_id, creation_time, model_id)",
    "CREATE INDEX logged_models_by_run ON logged_models (project_id, source_run_id)",
    `CREATE TABLE logged_model_params (project_id ${text} NOT NULL, model_id ${text} NOT NULL, key ${text} NOT NULL,
      value ${text} NOT NULL, PRIMARY KEY (project_id, model_id, key)) ${clusteredEnd}`,
    `CREATE TABLE logged_model_tags (project_id ${text} NOT NULL, model_id ${text} NOT NULL, key ${text} NOT NULL,
      value ${text} NOT NULL, PRIMARY KEY (project_id, model_id, key)) ${clusteredEnd}`,
    // An empty dataset name says that the metric was logged without a data set.
    `CREATE TABLE logged_model_metrics (project_id ${text} NOT NULL, model_id ${text} NOT NULL, key ${text} NOT NULL,
      timestamp ${integer} NOT NULL, step ${integer} NOT NULL, run_id ${text} NOT NULL, value ${real} NOT NULL, is_nan ${integer} NOT NULL,
      dataset_name ${text} NOT NULL, dataset_digest ${text} NOT NULL,
      PRIMARY KEY (project_id, model_id, key, timestamp, step, run_id)) ${clusteredEnd}`,
    // direction: input (a run read the model) or output (it made it).
    `CREATE TABLE run_models (project_id ${text} NOT NULL, run_id ${text} NOT NULL, model_id ${text} NOT NULL, direction ${text} NOT NULL,
      step ${integer} NOT NULL, PRIMARY KEY (project_id, run_id, direction, model_id)) ${clusteredEnd}`,
  ];
}
