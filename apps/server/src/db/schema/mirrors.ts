/** Tables of the outbox towards mirrors, as Kysely sees them; the migrations say what they mean. */

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
