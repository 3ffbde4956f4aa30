import { EspalierError, type StepEvent } from "@espalier/core";
import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import { noteTracking } from "../../mirror-changes.ts";
import { logMetrics, type MetricPoint } from "../metrics.ts";
import { holdLease } from "./lease-guard.ts";
import { insertEvents, type NewRunEvent } from "./run-events.ts";

/** Metrics, tags and notes of an attempt, together with how far its event file has been read. */
export async function appendStepEvents(
  database: RecordDatabase,
  attemptId: string,
  events: readonly StepEvent[],
  fromOffset: number,
  toOffset: number,
): Promise<void> {
  await database.transaction(async (transaction) => {
    const attempt = await findAttempt(database, transaction, attemptId);
    const news = toRunEvents(events, attempt, attemptId);
    // The run's row first, as everywhere: one order of locks, no deadlock. Its epoch is not asked: what a step said stays true.
    const first = await holdLease(database, transaction, attempt.run_id, undefined, 0);
    const { event_offset: offset } = await findAttempt(database, transaction, attemptId);
    if (toOffset <= offset) return;
    if (fromOffset !== offset) {
      throw new EspalierError(
        "CONFLICT",
        `Events of attempt ${attemptId} go on at byte ${offset}, not at ${fromOffset}`,
        {
          hint: "Read the file again from `eventOffset`.",
        },
      );
    }
    await transaction
      .updateTable("attempts")
      .set({ event_offset: toOffset })
      .where("project_id", "=", database.projectId)
      .where("attempt_id", "=", attemptId)
      .execute();
    const points = metricsOf(events);
    await logMetrics(database, transaction, attemptId, points);
    if (points.length > 0) await noteTracking(database, transaction, { kind: "metrics", subject: attemptId, points });
    await setTags(database, transaction, attemptId, events);
    if (news.length > 0) {
      await holdLease(database, transaction, attempt.run_id, undefined, news.length);
      await insertEvents(database, transaction, attempt.run_id, first, news);
    }
  });
}

export async function eventOffset(database: RecordDatabase, attemptId: string): Promise<number> {
  return (await findAttempt(database, database.kysely, attemptId)).event_offset;
}

async function findAttempt(
  database: RecordDatabase,
  transaction: Pick<RecordTransaction, "selectFrom">,
  attemptId: string,
): Promise<{ run_id: string; step: string; branch: number; event_offset: number }> {
  const attempt = await transaction
    .selectFrom("attempts")
    .select(["run_id", "step", "branch", "event_offset"])
    .where("project_id", "=", database.projectId)
    .where("attempt_id", "=", attemptId)
    .executeTakeFirst();
  if (attempt === undefined) throw new EspalierError("NOT_FOUND", `There is no attempt ${attemptId}`);
  return attempt;
}

function metricsOf(events: readonly StepEvent[]): MetricPoint[] {
  return events.flatMap((event) =>
    event.type === "metric"
      ? [
          {
            key: storable(event.key),
            value: Number(event.value),
            step: event.step ?? 0,
            timestamp: event.timestamp ?? Date.now(),
          },
        ]
      : [],
  );
}

async function setTags(
  database: RecordDatabase,
  transaction: RecordTransaction,
  attemptId: string,
  events: readonly StepEvent[],
): Promise<void> {
  const tags = new Map(
    events.flatMap((event) => (event.type === "tag" ? [[storable(event.key), storable(event.value)] as const] : [])),
  );
  if (tags.size === 0) return;
  await transaction
    .insertInto("tags")
    .values([...tags].map(([key, value]) => ({ project_id: database.projectId, run_id: attemptId, key, value })))
    .onConflict((conflict) =>
      conflict
        .columns(["project_id", "run_id", "key"])
        .doUpdateSet((columns) => ({ value: columns.ref("excluded.value") })),
    )
    .execute();
  await noteTracking(database, transaction, { kind: "tags", subject: attemptId, tags: Object.fromEntries(tags) });
}

/** For those who follow the run: notes and tags all, of progress and of each metric the last of the batch. */
function toRunEvents(
  events: readonly StepEvent[],
  { step, branch }: { step: string; branch: number },
  attemptId: string,
): NewRunEvent[] {
  const place = { step, branch, attemptId };
  const metrics = new Map<string, Extract<StepEvent, { type: "metric" }>>();
  let progress: StepEvent | undefined;
  const told: NewRunEvent[] = [];
  for (const event of events) {
    if (event.type === "metric") metrics.set(event.key, event);
    else if (event.type === "progress") progress = event;
    else told.push({ type: `step.${event.type}`, ...place, payload: event });
  }
  if (metrics.size > 0) {
    const latest = [...metrics.values()].map(({ key, value, step: at }) => ({ key, value, step: at }));
    told.push({ type: "step.metrics", ...place, payload: { metrics: latest } });
  }
  if (progress !== undefined) told.push({ type: "step.progress", ...place, payload: progress });
  return told;
}

/** A script may print anything; a NUL, which PostgreSQL refuses, must not stop the reading of its file. */
function storable(text: string): string {
  return text.replaceAll("\0", "\uFFFD");
}
