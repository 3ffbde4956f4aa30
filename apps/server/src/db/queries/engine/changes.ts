import type { EngineChange } from "@espalier/core";
import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import { giveBack, holdLease } from "./lease-guard.ts";
import { createAttempt, moveAttempt } from "./move-attempt.ts";
import { moveRun } from "./move-run.ts";
import { createBranches, moveStep } from "./move-step.ts";
import { insertEvents, type NewRunEvent } from "./run-events.ts";

/** Every change the engine makes goes through here: lease, rows and events in one transaction, all or none. */
export async function applyChanges(
  database: RecordDatabase,
  runId: string,
  epoch: number,
  changes: readonly EngineChange[],
): Promise<void> {
  if (changes.length === 0) return;
  const most = changes.reduce(
    (sum, change) => sum + (change.kind === "moveAttempt" && change.step !== undefined ? 2 : 1),
    0,
  );
  await database.transaction(async (transaction) => {
    const first = await holdLease(database, transaction, runId, epoch, most);
    const events: NewRunEvent[] = [];
    for (const change of changes) events.push(...(await applyChange(database, transaction, runId, change)));
    await insertEvents(database, transaction, runId, first, events);
    await giveBack(database, transaction, runId, most - events.length);
  });
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
