import { setImmediate as nextTurn } from "node:timers/promises";
import type { RecordDatabase } from "../../database.ts";
import type { LogEntry, LogOutcome } from "./log-entry.ts";
import { ParamsMet, writeGroup } from "./log-group.ts";

/** Writes what clients log. */
export interface LogWriter {
  /** Resolves after the commit. Any number of points; an entry is written wholly or not at all. */
  write(entry: LogEntry): Promise<LogOutcome>;
}

interface Waiting {
  entry: LogEntry;
  resolve(outcome: LogOutcome): void;
  reject(error: unknown): void;
}

/** Rows of one transaction; on SQLite nobody else is served while it runs, for some 10 ms. */
const rowsAGroup = 4000;
const mostTries = 5;

/**
 * Group commit: what arrives while a transaction runs, or in the same turn of the event loop, is written by one. A transaction costs more
 * than the rows of a small request.
 */
export function createLogWriter(database: RecordDatabase): LogWriter {
  let waiting: Waiting[] = [];
  let isWriting = false;

  const writeAll = async (): Promise<void> => {
    while (waiting.length > 0) {
      // The requests of this turn are read first; what they log comes into the group.
      await nextTurn();
      const count = groupLength(waiting);
      const group = waiting.slice(0, count);
      waiting = waiting.slice(count);
      await settle(database, group);
    }
    isWriting = false;
  };

  return {
    write: (entry) =>
      new Promise((resolve, reject) => {
        waiting.push({ entry, resolve, reject });
        if (isWriting) return;
        isWriting = true;
        void writeAll();
      }),
  };
}

function groupLength(waiting: readonly Waiting[]): number {
  let rows = 0;
  for (const [index, { entry }] of waiting.entries()) {
    rows += 1 + entry.metrics.length + entry.params.length + entry.tags.length;
    if (rows > rowsAGroup && index > 0) return index;
  }
  return waiting.length;
}

/** Never throws: each of the group is told. */
async function settle(database: RecordDatabase, group: readonly Waiting[]): Promise<void> {
  try {
    const outcomes = await database.transaction((transaction) =>
      writeGroup(
        database,
        transaction,
        group.map(({ entry }) => entry),
      ),
    );
    for (const [index, outcome] of outcomes.entries()) group[index]?.resolve(outcome);
  } catch (error) {
    const [first] = group;
    if (group.length === 1 && !(error instanceof ParamsMet)) first?.reject(error);
    // Whoever of them it was, the others must not fail for it.
    else for (const one of group) await settleAlone(database, one);
  }
}

async function settleAlone(database: RecordDatabase, { entry, resolve, reject }: Waiting): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      const [outcome] = await database.transaction((transaction) => writeGroup(database, transaction, [entry]));
      if (outcome !== undefined) resolve(outcome);
      return;
    } catch (error) {
      if (!(error instanceof ParamsMet) || tries === mostTries) return reject(error);
    }
  }
}
