import type { ColumnTypes } from "./migration.ts";

/** Monitors, lineage, identity, the audit trail and the outbox. */
export function operationsTables({ text, integer, tableEnd, clusteredEnd }: ColumnTypes): string[] {
  return [
    `CREATE TABLE monitors (project_id ${text} NOT NULL, name ${text} NOT NULL, endpoint ${text} NOT NULL, spec ${text} NOT NULL,
      state ${text}, enabled ${integer} NOT NULL, created_at ${integer} NOT NULL, updated_at ${integer} NOT NULL,
      PRIMARY KEY (project_id, name)) ${tableEnd}`,
    `CREATE TABLE monitor_reports (project_id ${text} NOT NULL, monitor ${text} NOT NULL, window_start ${integer} NOT NULL,
      window_end ${integer} NOT NULL, status ${text} NOT NULL, report ${text} NOT NULL, run_id ${text}, created_at ${integer} NOT NULL,
      PRIMARY KEY (project_id, monitor, window_end, window_start)) ${tableEnd}`,

    `CREATE TABLE simulations (project_id ${text} NOT NULL, simulation_id ${text} NOT NULL, endpoint ${text} NOT NULL,
      state ${text} NOT NULL, progress ${text} NOT NULL, started_at ${integer} NOT NULL, finished_at ${integer},
      PRIMARY KEY (project_id, simulation_id)) ${tableEnd}`,
    "CREATE INDEX simulations_by_time ON simulations (project_id, started_at, simulation_id)",

    `CREATE TABLE lineage_edges (project_id ${text} NOT NULL, from_node ${text} NOT NULL, to_node ${text} NOT NULL,
      relation ${text} NOT NULL, run_id ${text}, created_at ${integer} NOT NULL,
      PRIMARY KEY (project_id, from_node, to_node, relation)) ${clusteredEnd}`,
    "CREATE INDEX lineage_edges_by_target ON lineage_edges (project_id, to_node, from_node)",

    `CREATE TABLE tokens (project_id ${text} NOT NULL, token_id ${text} NOT NULL, hash ${text} NOT NULL, name ${text} NOT NULL,
      role ${text} NOT NULL, scope_kind ${text} NOT NULL, scope_id ${text}, created_by ${text} NOT NULL, created_at ${integer} NOT NULL,
      expires_at ${integer}, revoked_at ${integer}, last_used_at ${integer}, PRIMARY KEY (project_id, token_id)) ${tableEnd}`,
    "CREATE UNIQUE INDEX tokens_by_hash ON tokens (project_id, hash)",
    `CREATE TABLE audit (project_id ${text} NOT NULL, number ${integer} NOT NULL, at ${integer} NOT NULL, actor ${text} NOT NULL,
      action ${text} NOT NULL, subject ${text}, outcome ${text} NOT NULL, details ${text} NOT NULL, PRIMARY KEY (project_id, number)) ${clusteredEnd}`,
    `CREATE TABLE notices (project_id ${text} NOT NULL, notice_id ${text} NOT NULL, kind ${text} NOT NULL, target ${text} NOT NULL,
      payload ${text} NOT NULL, state ${text} NOT NULL, tries ${integer} NOT NULL, due_at ${integer} NOT NULL,
      claimed_until ${integer}, last_error ${text}, created_at ${integer} NOT NULL, finished_at ${integer},
      PRIMARY KEY (project_id, notice_id)) ${tableEnd}`,
    "CREATE INDEX notices_due ON notices (project_id, due_at) WHERE state = 'pending'",
  ];
}
