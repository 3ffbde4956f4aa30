import type { Selectable } from "kysely";
import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import { inList, listParameter, type Prepared, prepared, type QueryRunner } from "../../prepared.ts";
import type { TracesTable } from "../../schema/traces.ts";
import type { KeyValue } from "../tracking/experiments.ts";
import { type StoredAssessment, toAssessment } from "./assessment.ts";

export type TraceState = "STATE_UNSPECIFIED" | "OK" | "ERROR" | "IN_PROGRESS";

/** All that is known of a trace but its spans. */
export interface TraceInfo {
  id: string;
  experimentId: string;
  /** Milliseconds since the epoch, as `endTime`; undefined: it has not ended. */
  requestTime: number;
  endTime: number | undefined;
  state: TraceState;
  clientRequestId: string | undefined;
  requestPreview: string | undefined;
  responsePreview: string | undefined;
  tags: KeyValue[];
  metadata: KeyValue[];
  assessments: StoredAssessment[];
}

/** Where the proxy keeps what clients upload for the trace: spans of old clients, attachments. */
export const artifactLocationTag = "mlflow.artifactLocation";
export const spansLocationTag = "mlflow.trace.spansLocation";
/** The tag's value when the spans lie here. */
export const spansInRecord = "TRACKING_STORE";
export const sessionMetadata = "mlflow.trace.session";
export const userMetadata = "mlflow.trace.user";
export const sourceRunMetadata = "mlflow.sourceRun";
/** Says how many spans the client counted. */
export const sizeStatsMetadata = "mlflow.trace.sizeStats";

/** The newest that are shown of one trace; judges that run for ever must not fill the memory. */
const mostAssessments = 1000;

/** Reads what belongs to traces whose rows were read already, in one query a table. */
export interface TraceDetails {
  complete(runner: QueryRunner, rows: readonly Selectable<TracesTable>[]): Promise<TraceInfo[]>;
  find(runner: QueryRunner & Pick<RecordTransaction, "selectFrom">, id: string): Promise<TraceInfo | undefined>;
}

interface PairRow {
  trace_id: string;
  key: string;
  value: string;
}
interface AssessmentRow {
  trace_id: string;
  content: string;
  valid: number;
}

export function createTraceDetails(database: RecordDatabase): TraceDetails {
  const { projectId } = database;
  const pairs = (table: string): Prepared<PairRow> =>
    prepared(
      database,
      `SELECT trace_id, key, value FROM ${table} WHERE project_id = ? AND ${inList(database, "trace_id")} ORDER BY trace_id, key`,
    );
  const tags = pairs("trace_tags");
  const metadata = pairs("trace_metadata");
  const assessments: Prepared<AssessmentRow> = prepared(
    database,
    `SELECT trace_id, content, valid FROM (SELECT trace_id, content, valid, create_time, assessment_id,
        row_number() OVER (PARTITION BY trace_id ORDER BY create_time DESC, assessment_id) AS place
      FROM assessments WHERE project_id = ? AND ${inList(database, "trace_id")}) AS newest
      WHERE place <= ${mostAssessments} ORDER BY trace_id, create_time, assessment_id`,
  );

  const complete: TraceDetails["complete"] = async (runner, rows) => {
    if (rows.length === 0) return [];
    const parameters = [
      projectId,
      listParameter(
        database,
        rows.map((row) => row.trace_id),
      ),
    ];
    const tagsOf = grouped(await tags.all(runner, parameters));
    const metadataOf = grouped(await metadata.all(runner, parameters));
    const assessmentsOf = grouped(await assessments.all(runner, parameters));
    const keyValue = ({ key, value }: PairRow): KeyValue => ({ key, value });
    return rows.map((row) => ({
      id: row.trace_id,
      experimentId: row.experiment_id,
      requestTime: row.request_time,
      endTime: row.end_time ?? undefined,
      state: row.state as TraceState,
      clientRequestId: row.client_request_id ?? undefined,
      requestPreview: row.request_preview ?? undefined,
      responsePreview: row.response_preview ?? undefined,
      tags: (tagsOf.get(row.trace_id) ?? []).map(keyValue),
      metadata: (metadataOf.get(row.trace_id) ?? []).map(keyValue),
      assessments: (assessmentsOf.get(row.trace_id) ?? []).map(toAssessment),
    }));
  };

  return {
    complete,
    find: async (runner, id) => {
      const row = await runner
        .selectFrom("traces")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("trace_id", "=", id)
        .executeTakeFirst();
      return row === undefined ? undefined : (await complete(runner, [row]))[0];
    },
  };
}

function grouped<Row extends { trace_id: string }>(rows: readonly Row[]): Map<string, Row[]> {
  const found = new Map<string, Row[]>();
  for (const row of rows) {
    const known = found.get(row.trace_id);
    if (known === undefined) found.set(row.trace_id, [row]);
    else known.push(row);
  }
  return found;
}
