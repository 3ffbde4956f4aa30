import type { ColumnTypes } from "./migration.ts";

/** The outbox towards mirrors of the record: every change in order, until the mirror has it. */
export function mirrorTables({ text, integer, tableEnd, clusteredEnd }: ColumnTypes): string[] {
  return [
    `CREATE TABLE mirror_outbox (project_id ${text} NOT NULL, mirror ${text} NOT NULL, number ${integer} NOT NULL, kind ${text} NOT NULL,
      subject ${text} NOT NULL, payload ${text} NOT NULL, created_at ${integer} NOT NULL,
      PRIMARY KEY (project_id, mirror, number)) ${clusteredEnd}`,
    // What a thing of ours is called over there.
    `CREATE TABLE mirror_names (project_id ${text} NOT NULL, mirror ${text} NOT NULL, kind ${text} NOT NULL, local_id ${text} NOT NULL,
      remote_id ${text} NOT NULL, PRIMARY KEY (project_id, mirror, kind, local_id)) ${clusteredEnd}`,
    `CREATE TABLE mirror_status (project_id ${text} NOT NULL, mirror ${text} NOT NULL, delivered ${integer} NOT NULL,
      delivered_at ${integer}, tries ${integer} NOT NULL, last_error ${text}, due_at ${integer} NOT NULL,
      PRIMARY KEY (project_id, mirror)) ${tableEnd}`,
  ];
}
