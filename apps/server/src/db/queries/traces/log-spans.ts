import { sql } from "kysely";
import { bulkInsert } from "../../bulk.ts";
import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import { activeExperiment, type ExperimentChangeRefused } from "./experiment.ts";
import { artifactLocationTag, spansInRecord, spansLocationTag, type TraceState } from "./trace.ts";
import { linkTraces, pairWriter } from "./write-info.ts";

export interface NewSpan {
  traceId: string;
  spanId: string;
  /** Empty: a root. */
  parentSpanId: string;
  name: string;
  type: string;
  status: "OK" | "ERROR" | "UNSET";
  startNanoseconds: bigint;
  /** 0: it has not ended. */
  endNanoseconds: bigint;
  /** JSON, as it is answered. */
  content: string;
}

/** What the spans of one request tell of one trace. Times are ms since the epoch. */
export interface TraceOfSpans {
  id: string;
  startTime: number;
  /** undefined: no span of it has ended. */
  endTime: number | undefined;
  /** Of its root; IN_PROGRESS when that has not come. */
  state: TraceState;
  requestPreview: string | undefined;
  responsePreview: string | undefined;
  /** Overwrite those that are there. */
  tags: ReadonlyMap<string, string>;
  /** Written where there is none of the key. */
  metadata: ReadonlyMap<string, string>;
}

export interface SpanBatch {
  experimentId: string;
  /** The only experiment the caller may touch. */
  within: string | undefined;
  /** The run that all traces belong to. */
  runId: string | undefined;
  spans: readonly NewSpan[];
  traces: readonly TraceOfSpans[];
}

export type LogSpansOutcome = { kind: "logged" } | ExperimentChangeRefused;

/**
 * Writes spans, and makes or extends their traces: all or none. A span that is there already is overwritten. The state and previews that
 * a trace has stay; its times only grow, unless its client has told them.
 */
export function spanLogger(database: RecordDatabase): (batch: SpanBatch) => Promise<LogSpansOutcome> {
  const { projectId } = database;
  const writeTags = pairWriter(database, "trace_tags", "overwrite");
  const keepTags = pairWriter(database, "trace_tags", "keep");
  const keepMetadata = pairWriter(database, "trace_metadata", "keep");
  const insertSpans = bulkInsert(
    database.kind,
    "spans",
    {
      project_id: "text",
      trace_id: "text",
      span_id: "text",
      parent_span_id: "text",
      name: "text",
      type: "text",
      status: "text",
      start_nanoseconds: "integer",
      end_nanoseconds: "integer",
      content: "text",
    },
    `(project_id, trace_id, span_id) DO UPDATE SET parent_span_id = excluded.parent_span_id, name = excluded.name,
      type = excluded.type, status = excluded.status, start_nanoseconds = excluded.start_nanoseconds,
      end_nanoseconds = excluded.end_nanoseconds, content = excluded.content`,
  );

  return (batch) =>
    database.transaction(async (transaction): Promise<LogSpansOutcome> => {
      // In one order everywhere, so that two writers of the same traces wait for each other instead of dead-locking.
      const traces = [...batch.traces].sort((a, b) => (a.id < b.id ? -1 : 1));
      const ids = traces.map(({ id }) => id);
      const experiment = await activeExperiment(database, transaction, batch.experimentId, ids, batch.within);
      if (experiment.kind !== "active") return experiment;
      await writeTraces(database, transaction, batch.experimentId, traces);
      // Of a span that comes twice the last counts; PostgreSQL would refuse to write a row twice.
      const spans = [...new Map(batch.spans.map((span) => [`${span.traceId}/${span.spanId}`, span])).values()];
      await insertSpans.run(
        transaction,
        spans.map((span) => [
          projectId,
          span.traceId,
          span.spanId,
          span.parentSpanId,
          span.name,
          span.type,
          span.status,
          span.startNanoseconds,
          span.endNanoseconds,
          span.content,
        ]),
      );
      await keepTags(
        transaction,
        ids.map((id) => [id, artifactLocationTag, `${experiment.artifactLocation}/traces/${id}/artifacts`]),
      );
      await writeTags(
        transaction,
        traces.flatMap(({ id, tags }) =>
          [...new Map([...tags, [spansLocationTag, spansInRecord]])].map(([key, value]) => [id, key, value] as const),
        ),
      );
      await keepMetadata(
        transaction,
        traces.flatMap(({ id, metadata }) => [...metadata].map(([key, value]) => [id, key, value] as const)),
      );
      const { runId } = batch;
      if (runId !== undefined) {
        await linkTraces(
          database,
          transaction,
          ids.map((traceId) => ({ traceId, kind: "run", target: runId })),
        );
      }
      return { kind: "logged" };
    });
}

const rowsAStatement = 200;

async function writeTraces(
  { projectId }: RecordDatabase,
  transaction: RecordTransaction,
  experimentId: string,
  traces: readonly TraceOfSpans[],
): Promise<void> {
  for (let start = 0; start < traces.length; start += rowsAStatement) {
    await transaction
      .insertInto("traces")
      .values(
        traces.slice(start, start + rowsAStatement).map((trace) => ({
          project_id: projectId,
          trace_id: trace.id,
          experiment_id: experimentId,
          request_time: trace.startTime,
          end_time: trace.endTime ?? null,
          state: trace.state,
          finalised: 0,
          request_preview: trace.requestPreview ?? null,
          response_preview: trace.responsePreview ?? null,
        })),
      )
      .onConflict((conflict) =>
        conflict.columns(["project_id", "trace_id"]).doUpdateSet({
          request_time: sql`CASE WHEN traces.finalised = 0 AND excluded.request_time < traces.request_time
            THEN excluded.request_time ELSE traces.request_time END`,
          end_time: sql`CASE WHEN traces.finalised = 0 AND (traces.end_time IS NULL OR excluded.end_time > traces.end_time)
            THEN coalesce(excluded.end_time, traces.end_time) ELSE traces.end_time END`,
          state: sql`CASE WHEN traces.state IN ('IN_PROGRESS', 'STATE_UNSPECIFIED') AND excluded.state <> 'IN_PROGRESS'
            THEN excluded.state ELSE traces.state END`,
          request_preview: sql`coalesce(traces.request_preview, excluded.request_preview)`,
          response_preview: sql`coalesce(traces.response_preview, excluded.response_preview)`,
        }),
      )
      .execute();
  }
}
