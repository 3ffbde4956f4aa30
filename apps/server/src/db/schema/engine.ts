/** Tables of pipeline runs as the engine drives them, as Kysely sees them; the migrations say what they mean. */

export interface PipelineVersionsTable {
  project_id: string;
  digest: string;
  name: string;
  ir: string;
  created_at: number;
}

export interface PipelineRunsTable {
  project_id: string;
  run_id: string;
  pipeline: string;
  pipeline_digest: string;
  params: string;
  stack: string;
  trigger_json: string;
  trigger_kind: string;
  logical_date: string | null;
  options: string;
  resolved: string;
  snapshots: string;
  state: string;
  lease_owner: string | null;
  lease_epoch: number;
  lease_until: number | null;
  cancel_requested: number;
  last_event: number;
  error: string | null;
  created_at: number;
  started_at: number | null;
  finished_at: number | null;
}

export interface StepsTable {
  project_id: string;
  run_id: string;
  step: string;
  branch: number;
  position: number;
  state: string;
  cache_key: string | null;
  key_parts: string | null;
  outputs: string | null;
  step_values: string | null;
  item: string | null;
  cached_from: string | null;
  reason: string | null;
  error: string | null;
  started_at: number | null;
  finished_at: number | null;
}

export interface AttemptsTable {
  project_id: string;
  attempt_id: string;
  run_id: string;
  step: string;
  branch: number;
  number: number;
  state: string;
  tool: string;
  handle: string | null;
  cause: string | null;
  exit_code: number | null;
  message: string | null;
  log: string | null;
  event_offset: number;
  created_at: number;
  started_at: number | null;
  finished_at: number | null;
}

export interface CacheEntriesTable {
  project_id: string;
  cache_key: string;
  attempt_id: string;
  run_id: string;
  created_at: number;
}

export interface RunEventsTable {
  project_id: string;
  run_id: string;
  number: number;
  at: number;
  type: string;
  step: string | null;
  branch: number | null;
  attempt_id: string | null;
  payload: string;
}

export interface ApprovalsTable {
  project_id: string;
  approval_id: string;
  run_id: string;
  step: string;
  branch: number;
  state: string;
  question: string;
  details: string;
  requested_at: number;
  decided_by: string | null;
  decided_at: number | null;
  comment: string | null;
}

export interface SchedulesTable {
  project_id: string;
  schedule_id: string;
  pipeline: string;
  cron: string;
  timezone: string;
  catch_up: number;
  overlap: string;
  paused: number;
  stack: string | null;
  params: string;
  due_from: number;
  created_at: number;
  updated_at: number;
}

export interface FiringsTable {
  project_id: string;
  schedule_id: string;
  logical_date: number;
  kind: string;
  run_id: string | null;
  reason: string | null;
  created_at: number;
}
