import type { RecordDatabase } from "../../database.ts";
import { removeFolders } from "../files.ts";
import { artifactRoot } from "../tracking/experiments.ts";
import { artifactLocationTag } from "./trace.ts";

export interface TraceDeletion {
  experimentId: string;
  /** Those of the ids that the experiment has, or else the oldest up to a time (ms since the epoch, inclusive). */
  which: { ids: readonly string[] } | { until: number | bigint; most: number };
}

/** Traces a transaction deletes: others write in between. */
const deletedAtOnce = 200;

/** Deletes traces with all that is theirs, their files too; the number of them. */
export async function deleteTraces(database: RecordDatabase, { experimentId, which }: TraceDeletion): Promise<number> {
  let deleted = 0;
  if ("ids" in which) {
    for (let start = 0; start < which.ids.length; start += deletedAtOnce) {
      deleted += await deleteSome(database, experimentId, { ids: which.ids.slice(start, start + deletedAtOnce) });
    }
    return deleted;
  }
  while (deleted < which.most) {
    const most = Math.min(deletedAtOnce, which.most - deleted);
    const done = await deleteSome(database, experimentId, { until: which.until, most });
    deleted += done;
    if (done < most) break;
  }
  return deleted;
}

function deleteSome(database: RecordDatabase, experimentId: string, which: TraceDeletion["which"]): Promise<number> {
  const { projectId } = database;
  return database.transaction(async (transaction) => {
    let query = transaction
      .selectFrom("traces")
      .select("trace_id")
      .where("project_id", "=", projectId)
      .where("experiment_id", "=", experimentId)
      .orderBy("request_time")
      .orderBy("trace_id");
    if ("ids" in which) query = query.where("trace_id", "in", [...which.ids]);
    else query = query.where("request_time", "<=", which.until as number).limit(which.most);
    const ids = (await query.execute()).map((row) => row.trace_id);
    if (ids.length === 0) return 0;
    const places = await transaction
      .selectFrom("trace_tags")
      .select("value")
      .where("project_id", "=", projectId)
      .where("trace_id", "in", ids)
      .where("key", "=", artifactLocationTag)
      .execute();
    await removeFolders(
      database,
      transaction,
      places.filter(({ value }) => value.startsWith(artifactRoot)).map(({ value }) => value.slice(artifactRoot.length)),
    );
    for (const table of ["spans", "trace_tags", "trace_metadata", "assessments", "trace_links", "traces"] as const) {
      await transaction.deleteFrom(table).where("project_id", "=", projectId).where("trace_id", "in", ids).execute();
    }
    return ids.length;
  });
}
