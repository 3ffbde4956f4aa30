import type { RecordDatabase } from "../../database.ts";
import { inList, listParameter, prepared } from "../../prepared.ts";
import type { KeyValue } from "../tracking/experiments.ts";
import { type AssessmentQueries, createAssessmentQueries } from "./assessments.ts";
import { deleteTraces, type TraceDeletion } from "./delete-traces.ts";
import { type LogSpansOutcome, type SpanBatch, spanLogger } from "./log-spans.ts";
import { correlateTraces, searchTraces, type TraceCounts, type TracePage, type TraceSearch } from "./search.ts";
import { createTraceDetails, type TraceInfo, type TraceState } from "./trace.ts";
import { type GivenTrace, linkTraces, pairWriter, traceInfoWriter, type WriteOutcome } from "./write-info.ts";

/** What a client of old tells when its trace ends. */
export interface TraceEnd {
  endTime: number;
  state: TraceState;
  tags: readonly KeyValue[];
  metadata: readonly KeyValue[];
}

/** A trace and how much there is to read of its spans. */
export interface SpanCount {
  spans: number;
  /** Characters of all contents. */
  size: number;
}

/** Traces, their spans, and what is said of them. Every list is bounded. */
export interface TraceQueries {
  assessments: AssessmentQueries;
  /** Writes what a client says of a trace; again changes nothing. `within`: the only experiment the caller may touch. */
  write(trace: GivenTrace, finalised: boolean, within?: string): Promise<WriteOutcome>;
  /** undefined: there is no such trace. */
  end(id: string, end: TraceEnd): Promise<TraceInfo | undefined>;
  logSpans(batch: SpanBatch): Promise<LogSpansOutcome>;
  get(id: string): Promise<TraceInfo | undefined>;
  /** Those that there are, in the order of the ids. */
  getAll(ids: readonly string[]): Promise<TraceInfo[]>;
  experimentOf(id: string): Promise<string | undefined>;
  /** By trace; those without spans are left out. */
  countSpans(ids: readonly string[]): Promise<Map<string, SpanCount>>;
  /** Contents of a trace's spans, roots first, then by start. Ask for their size before. */
  spansOf(id: string): Promise<string[]>;
  setTag(id: string, tag: KeyValue): Promise<void>;
  /** false: there was no such tag. */
  deleteTag(id: string, key: string): Promise<boolean>;
  /** Those of the ids that are no traces are passed over. Idempotent. */
  link(ids: readonly string[], kind: "run" | "prompt", targets: readonly string[]): Promise<void>;
  /** The number of deleted traces. */
  delete(deletion: TraceDeletion): Promise<number>;
  search(search: TraceSearch): Promise<TracePage>;
  /** How many traces meet each of two filters, and both. */
  correlate(experimentIds: readonly string[], filters: Parameters<typeof correlateTraces>[2]): Promise<TraceCounts>;
}

export function createTraceQueries(database: RecordDatabase): TraceQueries {
  const { kysely, projectId } = database;
  const details = createTraceDetails(database);
  const writeTags = pairWriter(database, "trace_tags", "overwrite");
  const writeMetadata = pairWriter(database, "trace_metadata", "overwrite");
  const counts = prepared<{ trace_id: string; spans: number; size: number }>(
    database,
    `SELECT trace_id, count(*) AS spans, CAST(sum(length(content)) AS BIGINT) AS size FROM spans
      WHERE project_id = ? AND ${inList(database, "trace_id")} GROUP BY trace_id`,
  );
  const known = prepared<{ trace_id: string }>(
    database,
    `SELECT trace_id FROM traces WHERE project_id = ? AND ${inList(database, "trace_id")}`,
  );

  return {
    assessments: createAssessmentQueries(database),
    write: traceInfoWriter(database, details),
    end: (id, { endTime, state, tags, metadata }) =>
      database.transaction(async (transaction) => {
        const changed = await transaction
          .updateTable("traces")
          .set({ end_time: endTime, state, finalised: 1 })
          .where("project_id", "=", projectId)
          .where("trace_id", "=", id)
          .returning("trace_id")
          .executeTakeFirst();
        if (changed === undefined) return undefined;
        const pairs = (from: readonly KeyValue[]) =>
          [...new Map(from.map(({ key, value }) => [key, value]))].map(([key, value]) => [id, key, value] as const);
        await writeTags(transaction, pairs(tags));
        await writeMetadata(transaction, pairs(metadata));
        return details.find(transaction, id);
      }),
    logSpans: spanLogger(database),
    get: (id) => details.find(kysely, id),
    getAll: async (ids) => {
      if (ids.length === 0) return [];
      const rows = await database.reader
        .selectFrom("traces")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("trace_id", "in", [...new Set(ids)])
        .execute();
      const found = new Map((await details.complete(database.reader, rows)).map((trace) => [trace.id, trace]));
      return [...new Set(ids)].flatMap((id) => found.get(id) ?? []);
    },
    experimentOf: async (id) => {
      const row = await kysely
        .selectFrom("traces")
        .select("experiment_id")
        .where("project_id", "=", projectId)
        .where("trace_id", "=", id)
        .executeTakeFirst();
      return row?.experiment_id;
    },
    countSpans: async (ids) => {
      const rows = await counts.all(database.reader, [projectId, listParameter(database, ids)]);
      return new Map(rows.map(({ trace_id, spans, size }) => [trace_id, { spans: Number(spans), size: Number(size) }]));
    },
    spansOf: async (id) => {
      const rows = await database.reader
        .selectFrom("spans")
        .select(["content", "parent_span_id"])
        .where("project_id", "=", projectId)
        .where("trace_id", "=", id)
        .orderBy((columns) => columns.case().when("parent_span_id", "=", "").then(0).else(1).end())
        .orderBy("start_nanoseconds")
        .orderBy("span_id")
        .execute();
      return rows.map(({ content }) => content);
    },
    setTag: (id, { key, value }) => database.transaction((transaction) => writeTags(transaction, [[id, key, value]])),
    deleteTag: async (id, key) => {
      const deleted = await kysely
        .deleteFrom("trace_tags")
        .where("project_id", "=", projectId)
        .where("trace_id", "=", id)
        .where("key", "=", key)
        .returning("key")
        .executeTakeFirst();
      return deleted !== undefined;
    },
    link: (ids, kind, targets) =>
      database.transaction(async (transaction) => {
        const rows = await known.all(transaction, [projectId, listParameter(database, ids)]);
        await linkTraces(
          database,
          transaction,
          rows.flatMap(({ trace_id }) => targets.map((target) => ({ traceId: trace_id, kind, target }))),
        );
      }),
    delete: (deletion) => deleteTraces(database, deletion),
    search: (search) => searchTraces(database, details, search),
    correlate: (experimentIds, filters) => correlateTraces(database, experimentIds, filters),
  };
}
