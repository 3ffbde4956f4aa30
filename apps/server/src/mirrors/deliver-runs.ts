import {
  type LineageMirror,
  runEvents,
  runSpans,
  stepEvents,
  stepSpans,
  type ToldRun,
  type TraceMirror,
} from "@espalier/core";
import type { RunChange } from "../db/mirror-changes.ts";
import type { OutboxRow } from "../db/queries/mirrors.ts";
import type { ProjectRecord } from "../db/record.ts";

interface RunDelivery {
  record: ProjectRecord;
  project: string;
  signal: AbortSignal;
  /** Something that the service will never take. */
  refused(what: string): void;
}

export async function deliverLineage(
  { lineage, ...delivery }: RunDelivery & { lineage: LineageMirror },
  rows: readonly OutboxRow[],
): Promise<void> {
  const read = readerOf(delivery);
  const events = await gather(rows, async (change) => {
    const told = await read(change.subject);
    if (told === undefined) return [];
    return change.kind === "run-state" ? runEvents(told, change.state) : stepEvents(told, change.step, change.state);
  });
  if (events.length === 0) return;
  const { refused } = await lineage.tell(events, { signal: delivery.signal });
  for (const what of refused) delivery.refused(what);
}

export async function deliverTraces(
  { traces, ...delivery }: RunDelivery & { traces: TraceMirror },
  rows: readonly OutboxRow[],
): Promise<void> {
  const read = readerOf(delivery);
  const spans = await gather(rows, async (change) => {
    // Only what has ended has a span.
    if (change.state === "running") return [];
    const told = await read(change.subject);
    if (told === undefined) return [];
    return change.kind === "run-state" ? runSpans(told, change.state) : stepSpans(told, change.step, change.state);
  });
  if (spans.length === 0) return;
  const { refused } = await traces.tell(spans, { signal: delivery.signal });
  for (const what of refused) delivery.refused(what);
}

async function gather<Item>(rows: readonly OutboxRow[], tell: (change: RunChange) => Promise<Item[]>): Promise<Item[]> {
  const told: Item[] = [];
  for (const { change } of rows as readonly { change: RunChange }[]) told.push(...(await tell(change)));
  return told;
}

/** Each run once a batch, as it is by then; undefined for one that was deleted. */
function readerOf({ record, project }: RunDelivery): (runId: string) => Promise<ToldRun | undefined> {
  const read = new Map<string, Promise<ToldRun | undefined>>();
  const fresh = async (runId: string): Promise<ToldRun | undefined> => {
    const run = await record.runs.get(runId);
    if (run === undefined) return undefined;
    const [steps, attempts] = await Promise.all([record.engine.steps(runId), record.engine.attempts(runId)]);
    return { project, run, steps, attempts };
  };
  return (runId) => {
    const found = read.get(runId) ?? fresh(runId);
    read.set(runId, found);
    return found;
  };
}
