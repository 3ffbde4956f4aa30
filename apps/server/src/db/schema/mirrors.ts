/** Tables of the outbox towards mirrors and of imports and exports, as Kysely sees them; the migrations say what they mean. */

export interface MirrorOutboxTable {
  project_id: string;
  mirror: string;
  number: number;
  kind: string;
  subject: string;
  payload: string;
  created_at: number;
}

export interface MirrorNamesTable {
  project_id: string;
  mirror: string;
  kind: string;
  local_id: string;
  remote_id: string;
}

export interface MirrorStatusTable {
  project_id: string;
  mirror: string;
  delivered: number;
  delivered_at: number | null;
  tries: number;
  last_error: string | null;
  due_at: number;
}

export interface TransfersTable {
  project_id: string;
  transfer_id: string;
  direction: string;
  peer: string;
  state: string;
  options: string;
  result: string | null;
  error: string | null;
  created_by: string;
  created_at: number;
  finished_at: number | null;
}

export interface TransferItemsTable {
  project_id: string;
  direction: string;
  peer: string;
  kind: string;
  source_id: string;
  target_id: string;
  root: string | null;
  counts: string;
  done: number;
}
