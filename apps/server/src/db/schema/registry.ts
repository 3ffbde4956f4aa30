import type { Generated } from "kysely";

/** Tables of named things: datasets, models, verdicts, endpoints, as Kysely sees them; the migrations say what they mean. */

export interface DatasetsTable {
  project_id: string;
  name: string;
  description: string | null;
  created_at: number;
  updated_at: number;
}

export interface DatasetVersionsTable {
  project_id: string;
  name: string;
  version: number;
  digest: string;
  artifact: string | null;
  reference: string | null;
  source: string | null;
  schema_json: string | null;
  profile_json: string | null;
  row_count: number | null;
  tags: string;
  run_id: string | null;
  attempt_id: string | null;
  created_by: string;
  created_at: number;
}

export interface RegisteredModelsTable {
  project_id: string;
  name: string;
  description: string | null;
  creation_time: number;
  last_updated_time: number;
}

export interface RegisteredModelTagsTable {
  project_id: string;
  name: string;
  key: string;
  value: string;
}

export interface ModelVersionsTable {
  project_id: string;
  name: string;
  version: number;
  digest: string;
  verdict_id: string;
  artifact: string | null;
  signature: string | null;
  source: string;
  run_id: string | null;
  attempt_id: string | null;
  status: string;
  stage: string;
  description: string | null;
  user_id: string;
  creation_time: number;
  last_updated_time: number;
  model_id: string | null;
  run_link: string | null;
  status_message: string | null;
  location: string | null;
  idempotent: Generated<number>;
}

export interface ModelVersionTagsTable {
  project_id: string;
  name: string;
  version: number;
  key: string;
  value: string;
}

export interface AliasesTable {
  project_id: string;
  name: string;
  alias: string;
  version: number;
  updated_at: number;
}

export interface AliasHistoryTable {
  project_id: string;
  name: string;
  number: number;
  alias: string;
  from_version: number | null;
  to_version: number | null;
  changed_by: string;
  reason: string | null;
  changed_at: number;
}

export interface VerdictsTable {
  project_id: string;
  verdict_id: string;
  run_id: string | null;
  attempt_id: string | null;
  step: string | null;
  policy: string;
  policy_digest: string;
  candidate_digest: string;
  champion_digest: string | null;
  data_digest: string | null;
  outcome: string;
  passed: number;
  report: string;
  created_at: number;
}

export interface EndpointsTable {
  project_id: string;
  name: string;
  generation: number;
  spec: string;
  status: string | null;
  created_at: number;
  updated_at: number;
  deleted_at: number | null;
}

export interface EndpointGenerationsTable {
  project_id: string;
  name: string;
  generation: number;
  spec: string;
  reason: string;
  changed_by: string;
  run_id: string | null;
  created_at: number;
}

export interface EndpointDeclarationsTable {
  project_id: string;
  name: string;
  declaration: string;
  state: string;
  target: string | null;
  settings: string | null;
  code: string | null;
  message: string | null;
  tries: number;
  due_at: number;
  applied_by: string;
  applied_at: number;
  updated_at: number;
}

export interface RolloutsTable {
  project_id: string;
  rollout_id: string;
  endpoint: string;
  model: string;
  to_version: string;
  from_version: string | null;
  strategy: string;
  state: string;
  weight: number;
  reason: string | null;
  details: string;
  started_at: number;
  finished_at: number | null;
}

export interface WebhooksTable {
  project_id: string;
  webhook_id: string;
  name: string;
  url: string;
  description: string | null;
  events: string;
  status: string;
  secret_name: string | null;
  creation_time: number;
  last_updated_time: number;
}
