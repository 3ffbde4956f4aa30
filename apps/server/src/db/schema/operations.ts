/** Tables of monitors, lineage, identity, audit and the outbox, as Kysely sees them; the migrations say what they mean. */

export interface MonitorsTable {
  project_id: string;
  name: string;
  endpoint: string;
  spec: string;
  state: string | null;
  enabled: number;
  created_at: number;
  updated_at: number;
}

export interface MonitorReportsTable {
  project_id: string;
  monitor: string;
  window_start: number;
  window_end: number;
  status: string;
  report: string;
  run_id: string | null;
  created_at: number;
}

export interface SimulationsTable {
  project_id: string;
  simulation_id: string;
  endpoint: string;
  state: string;
  progress: string;
  started_at: number;
  finished_at: number | null;
}

export interface LineageEdgesTable {
  project_id: string;
  from_node: string;
  to_node: string;
  relation: string;
  run_id: string | null;
  created_at: number;
}

export interface TokensTable {
  project_id: string;
  token_id: string;
  hash: string;
  name: string;
  role: string;
  scope_kind: string;
  scope_id: string | null;
  created_by: string;
  created_at: number;
  expires_at: number | null;
  revoked_at: number | null;
  last_used_at: number | null;
}

export interface AuditTable {
  project_id: string;
  number: number;
  at: number;
  actor: string;
  action: string;
  subject: string | null;
  outcome: string;
  details: string;
}

export interface NoticesTable {
  project_id: string;
  notice_id: string;
  kind: string;
  target: string;
  payload: string;
  state: string;
  tries: number;
  due_at: number;
  claimed_until: number | null;
  last_error: string | null;
  created_at: number;
  finished_at: number | null;
}
