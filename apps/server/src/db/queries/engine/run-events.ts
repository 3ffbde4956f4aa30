import type { RecordDatabase, RecordTransaction } from "../../database.ts";

/** One line of a run's story. `number` counts from 1 within the run. */
export interface NewRunEvent {
  type: string;
  step?: string;
  branch?: number;
  attemptId?: string;
  payload: Readonly<Record<string, unknown>>;
}

const rowsAStatement = 500;

/** Writes events as `firstNumber`, `firstNumber + 1`, ...; the caller reserved the numbers on the run's row, whose lock it holds. */
export async function insertEvents(
  database: RecordDatabase,
  transaction: RecordTransaction,
  runId: string,
  firstNumber: number,
  events: readonly NewRunEvent[],
): Promise<void> {
  for (let start = 0; start < events.length; start += rowsAStatement) {
    await transaction
      .insertInto("run_events")
      .values(
        events.slice(start, start + rowsAStatement).map((event, index) => ({
          project_id: database.projectId,
          run_id: runId,
          number: firstNumber + start + index,
          at: database.now,
          type: event.type,
          step: event.step ?? null,
          branch: event.branch ?? null,
          attempt_id: event.attemptId ?? null,
          payload: JSON.stringify(event.payload),
        })),
      )
      .execute();
  }
}
