import type { ColumnTypes } from "./migration.ts";

/** The outbox towards mirrors of the record: every change in order, until the mirror has it; and the ledger of imports and exports. */
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

    // Imports and exports. peer: the server, folder or file that they are from or to.
    `CREATE TABLE transfers (project_id ${text} NOT NULL, transfer_id ${text} NOT NULL, direction ${text} NOT NULL, peer ${text} NOT NULL,
      state ${text} NOT NULL, options ${text} NOT NULL, result ${text}, error ${text}, created_by ${text} NOT NULL,
      created_at ${integer} NOT NULL, finished_at ${integer}, PRIMARY KEY (project_id, transfer_id)) ${tableEnd}`,
    "CREATE INDEX transfers_by_time ON transfers (project_id, created_at, transfer_id)",
    // The ledger: what became of each thing, and (done) that this pass has carried it whole. root: where its files lie here.
    `CREATE TABLE transfer_items (project_id ${text} NOT NULL, direction ${text} NOT NULL, peer ${text} NOT NULL, kind ${text} NOT NULL,
      source_id ${text} NOT NULL, target_id ${text} NOT NULL, root ${text}, counts ${text} NOT NULL, done ${integer} NOT NULL,
      PRIMARY KEY (project_id, direction, peer, kind, source_id)) ${tableEnd}`,
    "CREATE INDEX transfer_items_by_target ON transfer_items (project_id, direction, kind, target_id)",
  ];
}
