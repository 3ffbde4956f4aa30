import type { EngineChange } from "@espalier/core";
import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import { createGroupCommit } from "../../group-commit.ts";
import { giveBack, holdLease } from "./lease-guard.ts";
import { createAttempt, moveAttempt } from "./move-attempt.ts";
import { moveRun } from "./move-run.ts";
import { createBranches, moveStep } from "./move-step.ts";
import { insertEvents, type NewRunEvent } from "./run-events.ts";

/** What the engine changes in one go; all or none of it. */
export interface RunChanges {
  runId: string;
  epoch: number;
  changes: readonly EngineChange[];
}

/**
 * Every change the engine makes goes through here: lease, rows and events in one transaction. A run of a thousand steps at a time changes
 * that often too, and its row serves one transaction after the other: what waits for it meanwhile is written together.
 */
export function createChangeWriter(database: RecordDatabase): (changes: RunChanges) => Promise<void> {
  const commit = createGroupCommit<RunChanges, void>(database, {
    rows: ({ changes }) => changes.reduce((sum, change) => sum + rowsOf(change), 0),
    write: async (transaction, jobs) => {
      for (const together of Map.groupBy(jobs, ({ runId, epoch }) => `${runId}/${epoch}`).values()) {
        await writeChanges(database, transaction, together);
      }
      return jobs.map(() => undefined);
    },
  });
  return async (job) => {
    if (job.changes.length > 0) await commit(job);
  };
}

const rowsOf = (change: EngineChange): number => (change.kind === "createBranches" ? change.items.length : 8);
const mostEventsOf = (change: EngineChange): number =>
  change.kind === "moveAttempt" && change.step !== undefined ? 2 : 1;

/** `together`: all of one run and one epoch. */
async function writeChanges(
  database: RecordDatabase,
  transaction: RecordTransaction,
  together: readonly RunChanges[],
): Promise<void> {
  const [job] = together;
  if (job === undefined) return;
  const { runId, epoch } = job;
  const changes = together.flatMap((one) => one.changes);
  const most = changes.reduce((sum, change) => sum + mostEventsOf(change), 0);
  const first = await holdLease(database, transaction, runId, epoch, most);
  const events: NewRunEvent[] = [];
  for (const change of changes) events.push(...(await applyChange(database, transaction, runId, change)));
  await insertEvents(database, transaction, runId, first, events);
  await giveBack(database, transaction, runId, most - events.length);
}

function applyChange(
  database: RecordDatabase,
  transaction: RecordTransaction,
  runId: string,
  change: EngineChange,
): Promise<NewRunEvent[]> {
  switch (change.kind) {
    case "moveRun":
      return moveRun(database, transaction, runId, change);
    case "moveStep":
      return moveStep(database, transaction, runId, change);
    case "createBranches":
      return createBranches(database, transaction, runId, change);
    case "createAttempt":
      return createAttempt(database, transaction, runId, change);
    case "moveAttempt":
      return moveAttempt(database, transaction, runId, change);
  }
}
