import { sql } from "kysely";
import { bulkInsert } from "../../bulk.ts";
import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import type { Assessment } from "./assessment.ts";
import { insertAssessment } from "./assessments.ts";
import { activeExperiment, type ExperimentChangeRefused } from "./experiment.ts";
import { artifactLocationTag, sourceRunMetadata, type TraceDetails, type TraceInfo } from "./trace.ts";

/** A trace as its client tells it, without what the server adds. */
export type GivenTrace = Omit<TraceInfo, "assessments"> & { assessments: Assessment[] };

export type WriteOutcome = { kind: "written"; trace: TraceInfo } | ExperimentChangeRefused;

/** `key` and `value` of many traces, upserted; of one key of one trace there may be but one. */
export type PairWriter = (
  transaction: RecordTransaction,
  pairs: readonly (readonly [traceId: string, key: string, value: string])[],
) => Promise<void>;

export function pairWriter(
  database: RecordDatabase,
  table: "trace_tags" | "trace_metadata",
  present: "overwrite" | "keep",
): PairWriter {
  const insert = bulkInsert(
    database.kind,
    table,
    { project_id: "text", trace_id: "text", key: "text", value: "text" },
    `(project_id, trace_id, key) DO ${present === "keep" ? "NOTHING" : "UPDATE SET value = excluded.value"}`,
  );
  return async (transaction, pairs) => {
    await insert.run(
      transaction,
      pairs.map(([traceId, key, value]) => [database.projectId, traceId, key, value]),
    );
  };
}

/** Which runs and prompts a trace belongs to. Idempotent. */
export async function linkTraces(
  database: RecordDatabase,
  transaction: RecordTransaction,
  links: readonly { traceId: string; kind: "run" | "prompt"; target: string }[],
): Promise<void> {
  if (links.length === 0) return;
  await transaction
    .insertInto("trace_links")
    .values(
      links.map(({ traceId, kind, target }) => ({ project_id: database.projectId, trace_id: traceId, kind, target })),
    )
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/**
 * Writes what a client says of a trace as a whole. Spans may have come before: what they told of times and state then gives way, and
 * tags, metadata and assessments that are there stay. `within`: the only experiment the caller may touch.
 */
export function traceInfoWriter(database: RecordDatabase, details: TraceDetails) {
  const { projectId } = database;
  const writeTags = pairWriter(database, "trace_tags", "overwrite");
  const writeMetadata = pairWriter(database, "trace_metadata", "overwrite");
  return (given: GivenTrace, finalised: boolean, within?: string): Promise<WriteOutcome> =>
    database.transaction(async (transaction): Promise<WriteOutcome> => {
      const experiment = await activeExperiment(database, transaction, given.experimentId, [given.id], within);
      if (experiment.kind !== "active") return experiment;
      const row = {
        experiment_id: given.experimentId,
        request_time: given.requestTime,
        end_time: given.endTime ?? null,
        state: given.state,
        finalised: finalised ? 1 : 0,
        client_request_id: given.clientRequestId ?? null,
      };
      await transaction
        .insertInto("traces")
        .values({
          project_id: projectId,
          trace_id: given.id,
          ...row,
          request_preview: given.requestPreview ?? null,
          response_preview: given.responsePreview ?? null,
        })
        .onConflict((conflict) =>
          conflict.columns(["project_id", "trace_id"]).doUpdateSet({
            ...row,
            request_preview: sql`coalesce(excluded.request_preview, traces.request_preview)`,
            response_preview: sql`coalesce(excluded.response_preview, traces.response_preview)`,
          }),
        )
        .execute();
      const location = `${experiment.artifactLocation}/traces/${given.id}/artifacts`;
      const tags = new Map([
        ...given.tags.map(({ key, value }) => [key, value] as const),
        [artifactLocationTag, location],
      ]);
      await writeTags(
        transaction,
        [...tags].map(([key, value]) => [given.id, key, value]),
      );
      await writeMetadata(
        transaction,
        [...new Map(given.metadata.map(({ key, value }) => [key, value]))].map(([key, value]) => [
          given.id,
          key,
          value,
        ]),
      );
      const run = given.metadata.find(({ key }) => key === sourceRunMetadata)?.value;
      if (run) await linkTraces(database, transaction, [{ traceId: given.id, kind: "run", target: run }]);
      for (const assessment of given.assessments) await insertAssessment(database, transaction, assessment);
      const trace = await details.find(transaction, given.id);
      return trace === undefined ? { kind: "no-experiment" } : { kind: "written", trace };
    });
}
