import type { ColumnTypes } from "./migration.ts";

/** Files that MLflow clients logged: a path of the artifact proxy, and the content-addressed blob behind it. */
export function trackedFileTables({ text, integer, tableEnd, clusteredEnd }: ColumnTypes): string[] {
  return [
    `CREATE TABLE tracked_files (project_id ${text} NOT NULL, path ${text} NOT NULL, digest ${text} NOT NULL, size ${integer} NOT NULL,
      created_by ${text} NOT NULL, created_at ${integer} NOT NULL, PRIMARY KEY (project_id, path)) ${clusteredEnd}`,
    // A multipart upload; its parts lie in the store, each under its own digest. A complete one is kept for a day, so that a repeated
    // request finds it done.
    `CREATE TABLE file_uploads (project_id ${text} NOT NULL, upload_id ${text} NOT NULL, path ${text} NOT NULL, parts ${integer} NOT NULL,
      created_by ${text} NOT NULL, created_at ${integer} NOT NULL, completed_at ${integer},
      PRIMARY KEY (project_id, upload_id)) ${tableEnd}`,
    `CREATE TABLE file_upload_parts (project_id ${text} NOT NULL, upload_id ${text} NOT NULL, number ${integer} NOT NULL,
      digest ${text} NOT NULL, size ${integer} NOT NULL, PRIMARY KEY (project_id, upload_id, number)) ${clusteredEnd}`,
  ];
}
