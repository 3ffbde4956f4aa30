import { type ChangeEvent, type ChangeTopic, changeTopics } from "@espalier/contract";
import { EspalierError } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { ChangeMarks } from "../db/queries/change-marks.ts";
import type { ServerEvent } from "../http/handler.ts";

/** Changes outside runs, and those of another control plane on the same database, are found by looking. */
const lookMilliseconds = 1_000;
/** A run tells of each event; a page asks again at most this often. */
const mostOftenMilliseconds = 250;

/**
 * What changed, until the client goes. An id holds a mark of each topic as the record had it, so a client that comes back, also to another
 * process, is told exactly what differs since: nothing has to be kept for it.
 */
export async function* followChanges(
  { record }: ControlPlane,
  after: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<ServerEvent<ChangeEvent>, void, void> {
  let known = after === undefined ? undefined : readMarks(after);
  let isFirst = true;
  let changed = Promise.withResolvers<void>();
  const wake = (): void => changed.resolve();
  const stop = record.listeners.listenAll(wake);
  signal.addEventListener("abort", wake);
  try {
    while (!signal.aborted) {
      changed = Promise.withResolvers<void>();
      const marks = await record.changes.marks();
      const topics = known === undefined ? [] : differing(known, marks);
      if (isFirst || topics.length > 0) yield { id: textOf(marks), data: { changed: topics } };
      isFirst = false;
      known = marks;
      const pause = Promise.withResolvers<void>();
      const short = setTimeout(pause.resolve, mostOftenMilliseconds);
      const long = setTimeout(wake, lookMilliseconds);
      await changed.promise;
      if (!signal.aborted) await pause.promise;
      clearTimeout(short);
      clearTimeout(long);
    }
  } finally {
    signal.removeEventListener("abort", wake);
    stop();
  }
}

function differing(before: Partial<ChangeMarks>, now: ChangeMarks): ChangeTopic[] {
  return changeTopics.filter((topic) => before[topic] !== now[topic]);
}

function textOf(marks: ChangeMarks): string {
  return changeTopics.map((topic) => `${topic}=${marks[topic]}`).join(";");
}

/** A topic that the id lacks, since another version made it, counts as changed. */
function readMarks(id: string): Partial<ChangeMarks> {
  if (!/^[a-z]+=[0-9a-f]{12}(;[a-z]+=[0-9a-f]{12})*$/.test(id)) {
    throw new EspalierError("INVALID_INPUT", "Last-Event-ID is the id of an event of this stream", {
      at: "headers.last-event-id",
    });
  }
  return Object.fromEntries(id.split(";").map((part) => part.split("="))) as Partial<ChangeMarks>;
}
