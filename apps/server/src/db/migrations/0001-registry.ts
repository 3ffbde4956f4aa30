import type { ColumnTypes } from "./migration.ts";

/** Datasets, models, verdicts and endpoints: the named things of a project and their histories. */
export function registryTables({ text, integer, real, tableEnd, clusteredEnd }: ColumnTypes): string[] {
  return [
    `CREATE TABLE datasets (project_id ${text} NOT NULL, name ${text} NOT NULL, description ${text}, created_at ${integer} NOT NULL,
      updated_at ${integer} NOT NULL, PRIMARY KEY (project_id, name)) ${tableEnd}`,
    `CREATE TABLE dataset_versions (project_id ${text} NOT NULL, name ${text} NOT NULL, version ${integer} NOT NULL,
      digest ${text} NOT NULL, artifact ${text}, reference ${text}, source ${text}, schema_json ${text}, profile_json ${text},
      row_count ${integer}, tags ${text} NOT NULL, run_id ${text}, attempt_id ${text}, created_by ${text} NOT NULL,
      created_at ${integer} NOT NULL, PRIMARY KEY (project_id, name, version)) ${tableEnd}`,
    "CREATE UNIQUE INDEX dataset_versions_by_digest ON dataset_versions (project_id, name, digest)",

    `CREATE TABLE registered_models (project_id ${text} NOT NULL, name ${text} NOT NULL, description ${text},
      creation_time ${integer} NOT NULL, last_updated_time ${integer} NOT NULL, PRIMARY KEY (project_id, name)) ${tableEnd}`,
    `CREATE TABLE registered_model_tags (project_id ${text} NOT NULL, name ${text} NOT NULL, key ${text} NOT NULL,
      value ${text} NOT NULL, PRIMARY KEY (project_id, name, key)) ${clusteredEnd}`,
    // An empty digest is a version that an MLflow client registered by address; an empty verdict is one nobody judged.
    `CREATE TABLE model_versions (project_id ${text} NOT NULL, name ${text} NOT NULL, version ${integer} NOT NULL,
      digest ${text} NOT NULL, verdict_id ${text} NOT NULL, artifact ${text}, signature ${text}, source ${text} NOT NULL, run_id ${text},
      attempt_id ${text}, status ${text} NOT NULL, stage ${text} NOT NULL, description ${text}, user_id ${text} NOT NULL,
      creation_time ${integer} NOT NULL, last_updated_time ${integer} NOT NULL, PRIMARY KEY (project_id, name, version)) ${tableEnd}`,
    "CREATE UNIQUE INDEX model_versions_by_digest ON model_versions (project_id, name, digest, verdict_id) WHERE digest <> ''",
    "CREATE INDEX model_versions_by_run ON model_versions (project_id, run_id)",
    `CREATE TABLE model_version_tags (project_id ${text} NOT NULL, name ${text} NOT NULL, version ${integer} NOT NULL,
      key ${text} NOT NULL, value ${text} NOT NULL, PRIMARY KEY (project_id, name, version, key)) ${clusteredEnd}`,
    `CREATE TABLE aliases (project_id ${text} NOT NULL, name ${text} NOT NULL, alias ${text} NOT NULL, version ${integer} NOT NULL,
      updated_at ${integer} NOT NULL, PRIMARY KEY (project_id, name, alias)) ${clusteredEnd}`,
    `CREATE TABLE alias_history (project_id ${text} NOT NULL, name ${text} NOT NULL, number ${integer} NOT NULL, alias ${text} NOT NULL,
      from_version ${integer}, to_version ${integer}, changed_by ${text} NOT NULL, reason ${text}, changed_at ${integer} NOT NULL,
      PRIMARY KEY (project_id, name, number)) ${clusteredEnd}`,

    `CREATE TABLE verdicts (project_id ${text} NOT NULL, verdict_id ${text} NOT NULL, run_id ${text}, attempt_id ${text}, step ${text},
      policy ${text} NOT NULL, policy_digest ${text} NOT NULL, candidate_digest ${text} NOT NULL, champion_digest ${text},
      data_digest ${text}, outcome ${text} NOT NULL, passed ${integer} NOT NULL, report ${text} NOT NULL, created_at ${integer} NOT NULL,
      PRIMARY KEY (project_id, verdict_id)) ${tableEnd}`,
    "CREATE INDEX verdicts_by_candidate ON verdicts (project_id, candidate_digest, created_at)",
    "CREATE INDEX verdicts_by_time ON verdicts (project_id, created_at, verdict_id)",

    `CREATE TABLE endpoints (project_id ${text} NOT NULL, name ${text} NOT NULL, generation ${integer} NOT NULL, spec ${text} NOT NULL,
      status ${text}, created_at ${integer} NOT NULL, updated_at ${integer} NOT NULL, deleted_at ${integer},
      PRIMARY KEY (project_id, name)) ${tableEnd}`,
    `CREATE TABLE endpoint_generations (project_id ${text} NOT NULL, name ${text} NOT NULL, generation ${integer} NOT NULL,
      spec ${text} NOT NULL, reason ${text} NOT NULL, changed_by ${text} NOT NULL, run_id ${text}, created_at ${integer} NOT NULL,
      PRIMARY KEY (project_id, name, generation)) ${clusteredEnd}`,
    `CREATE TABLE rollouts (project_id ${text} NOT NULL, rollout_id ${text} NOT NULL, endpoint ${text} NOT NULL, model ${text} NOT NULL,
      to_version ${text} NOT NULL, from_version ${text}, strategy ${text} NOT NULL, state ${text} NOT NULL, weight ${real} NOT NULL,
      reason ${text}, details ${text} NOT NULL, started_at ${integer} NOT NULL, finished_at ${integer},
      PRIMARY KEY (project_id, rollout_id)) ${tableEnd}`,
    "CREATE INDEX rollouts_by_endpoint ON rollouts (project_id, endpoint, started_at, rollout_id)",
    // One at a time: two rollouts of one endpoint would fight over its weights.
    "CREATE UNIQUE INDEX rollouts_active ON rollouts (project_id, endpoint) WHERE finished_at IS NULL",
  ];
}
