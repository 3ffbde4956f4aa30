import type { ColumnTypes } from "./migration.ts";

/** What MLflow's registry knows of a version beyond ours, and its webhooks. */
export function registryAdditions({ text, integer, tableEnd }: ColumnTypes): string[] {
  return [
    // The logged model that a version was made from, and what a client said went wrong with it.
    `ALTER TABLE model_versions ADD COLUMN model_id ${text}`,
    `ALTER TABLE model_versions ADD COLUMN run_link ${text}`,
    `ALTER TABLE model_versions ADD COLUMN status_message ${text}`,
    // Where the files of a version lie that a client registered by address: a path of the artifact proxy, or NULL.
    `ALTER TABLE model_versions ADD COLUMN location ${text}`,
    // 1: made by a pipeline, one version a (content, verdict). 0: made by an MLflow client, for whom every create is a new version.
    `ALTER TABLE model_versions ADD COLUMN idempotent ${integer} NOT NULL DEFAULT 1`,
    "DROP INDEX model_versions_by_digest",
    `CREATE UNIQUE INDEX model_versions_by_digest ON model_versions (project_id, name, digest, verdict_id)
      WHERE digest <> '' AND idempotent = 1`,
    "CREATE INDEX model_versions_by_content ON model_versions (project_id, digest)",
    "CREATE INDEX model_versions_by_change ON model_versions (project_id, last_updated_time DESC, name, version DESC)",
    // What a gate said of the versions there are, as tags, which is how MLflow's clients see it.
    `INSERT INTO model_version_tags (project_id, name, version, key, value)
      SELECT project_id, name, version, 'espalier.gate', CASE WHEN verdict_id = '' THEN 'none' ELSE 'passed' END FROM model_versions`,
    `INSERT INTO model_version_tags (project_id, name, version, key, value)
      SELECT project_id, name, version, 'espalier.verdict', verdict_id FROM model_versions WHERE verdict_id <> ''`,
    `CREATE TABLE webhooks (project_id ${text} NOT NULL, webhook_id ${text} NOT NULL, name ${text} NOT NULL, url ${text} NOT NULL,
      description ${text}, events ${text} NOT NULL, status ${text} NOT NULL, secret_name ${text}, creation_time ${integer} NOT NULL,
      last_updated_time ${integer} NOT NULL, PRIMARY KEY (project_id, webhook_id)) ${tableEnd}`,
  ];
}
