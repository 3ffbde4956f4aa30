/** Tables of traces, as Kysely sees them; the migrations say what they mean. */

export interface TracesTable {
  project_id: string;
  trace_id: string;
  experiment_id: string;
  request_time: number;
  end_time: number | null;
  state: string;
  finalised: number;
  client_request_id: string | null;
  request_preview: string | null;
  response_preview: string | null;
}

export interface TraceTagsTable {
  project_id: string;
  trace_id: string;
  key: string;
  value: string;
}

export interface TraceMetadataTable {
  project_id: string;
  trace_id: string;
  key: string;
  value: string;
}

export interface SpansTable {
  project_id: string;
  trace_id: string;
  span_id: string;
  parent_span_id: string;
  name: string;
  type: string;
  status: string;
  start_nanoseconds: number | bigint;
  end_nanoseconds: number | bigint;
  content: string;
}

export interface AssessmentsTable {
  project_id: string;
  trace_id: string;
  assessment_id: string;
  name: string;
  kind: string;
  valid: number;
  overrides: string;
  value: string;
  number: number | null;
  session: string;
  content: string;
  create_time: number;
  last_update_time: number;
}

export interface TraceLinksTable {
  project_id: string;
  trace_id: string;
  kind: string;
  target: string;
}
