import type { ColumnTypes } from "./migration.ts";

/** Traces of generative applications: one row a trace, its spans as OpenTelemetry tells them, and what people and judges said of it. */
export function traceTables({ text, integer, real, tableEnd, clusteredEnd }: ColumnTypes): string[] {
  return [
    // Times are ms. end_time is NULL until a span or the client told it. finalised: the client told the times itself, so that spans which
    // come later do not move them.
    `CREATE TABLE traces (project_id ${text} NOT NULL, trace_id ${text} NOT NULL, experiment_id ${text} NOT NULL,
      request_time ${integer} NOT NULL, end_time ${integer}, state ${text} NOT NULL, finalised ${integer} NOT NULL,
      client_request_id ${text}, request_preview ${text}, response_preview ${text}, PRIMARY KEY (project_id, trace_id)) ${tableEnd}`,
    "CREATE INDEX traces_by_experiment ON traces (project_id, experiment_id, request_time DESC, trace_id)",
    `CREATE TABLE trace_tags (project_id ${text} NOT NULL, trace_id ${text} NOT NULL, key ${text} NOT NULL, value ${text} NOT NULL,
      PRIMARY KEY (project_id, trace_id, key)) ${clusteredEnd}`,
    `CREATE TABLE trace_metadata (project_id ${text} NOT NULL, trace_id ${text} NOT NULL, key ${text} NOT NULL, value ${text} NOT NULL,
      PRIMARY KEY (project_id, trace_id, key)) ${clusteredEnd}`,
    // An empty parent: a root. 0 as the end: not ended. content: the span as it is answered, so that reading parses nothing.
    `CREATE TABLE spans (project_id ${text} NOT NULL, trace_id ${text} NOT NULL, span_id ${text} NOT NULL, parent_span_id ${text} NOT NULL,
      name ${text} NOT NULL, type ${text} NOT NULL, status ${text} NOT NULL, start_nanoseconds ${integer} NOT NULL,
      end_nanoseconds ${integer} NOT NULL, content ${text} NOT NULL, PRIMARY KEY (project_id, trace_id, span_id)) ${tableEnd}`,
    // kind: feedback, expectation, issue. value: a text as it is, anything else as JSON; number: the same, where it is one. session: not
    // empty when the assessment is of all traces of a session.
    `CREATE TABLE assessments (project_id ${text} NOT NULL, trace_id ${text} NOT NULL, assessment_id ${text} NOT NULL, name ${text} NOT NULL,
      kind ${text} NOT NULL, valid ${integer} NOT NULL, overrides ${text} NOT NULL, value ${text} NOT NULL, number ${real},
      session ${text} NOT NULL, content ${text} NOT NULL, create_time ${integer} NOT NULL, last_update_time ${integer} NOT NULL,
      PRIMARY KEY (project_id, trace_id, assessment_id)) ${tableEnd}`,
    "CREATE INDEX assessments_by_session ON assessments (project_id, session) WHERE session <> ''",
    // kind: run, prompt; what a trace belongs to beside its experiment.
    `CREATE TABLE trace_links (project_id ${text} NOT NULL, trace_id ${text} NOT NULL, kind ${text} NOT NULL, target ${text} NOT NULL,
      PRIMARY KEY (project_id, trace_id, kind, target)) ${clusteredEnd}`,
    "CREATE INDEX trace_links_by_target ON trace_links (project_id, kind, target, trace_id)",
  ];
}
