import { setImmediate as nextTurn } from "node:timers/promises";
import type { RecordDatabase, RecordTransaction } from "./database.ts";

/** Thrown by `write` when the same work may succeed at once in a new transaction. */
export class TryAgain extends Error {}

export interface GroupCommitOptions<Job, Outcome> {
  /** About how many rows a job writes. */
  rows(job: Job): number;
  /** One outcome a job, in their order. What it throws fails all of them, and each is written alone then. */
  write(transaction: RecordTransaction, jobs: readonly Job[]): Promise<Outcome[]>;
}

interface Waiting<Job, Outcome> {
  job: Job;
  resolve(outcome: Outcome): void;
  reject(error: unknown): void;
}

/** Rows of one transaction; on SQLite nobody else is served while it runs, for some 10 ms. */
const rowsAGroup = 4000;
const mostTries = 5;

/**
 * Group commit: what arrives while a transaction runs, or in the same turn of the event loop, is written by one transaction, for it costs
 * more than the rows of a small request. The promise resolves after the commit, and no job fails for another.
 */
export function createGroupCommit<Job, Outcome>(
  database: RecordDatabase,
  { rows, write }: GroupCommitOptions<Job, Outcome>,
): (job: Job) => Promise<Outcome> {
  let waiting: Waiting<Job, Outcome>[] = [];
  let isWriting = false;

  const settleAlone = async ({ job, resolve, reject }: Waiting<Job, Outcome>): Promise<void> => {
    for (let tries = 1; ; tries += 1) {
      try {
        const [outcome] = await database.transaction((transaction) => write(transaction, [job]));
        return resolve(outcome as Outcome);
      } catch (error) {
        if (!(error instanceof TryAgain) || tries === mostTries) return reject(error);
      }
    }
  };

  /** Never throws: each of the group is told. */
  const settle = async (group: readonly Waiting<Job, Outcome>[]): Promise<void> => {
    const [first] = group;
    if (group.length === 1 && first !== undefined) return settleAlone(first);
    try {
      const jobs = group.map(({ job }) => job);
      const outcomes = await database.transaction((transaction) => write(transaction, jobs));
      for (const [index, one] of group.entries()) one.resolve(outcomes[index] as Outcome);
    } catch {
      // Whoever of them it was, the others must not fail for it; alone, each meets its own error again.
      for (const one of group) await settleAlone(one);
    }
  };

  const writeAll = async (): Promise<void> => {
    while (waiting.length > 0) {
      // The requests of this turn are read first, and what they write comes into the group.
      await nextTurn();
      let count = 0;
      for (let sum = 0; count < waiting.length; count += 1) {
        sum += rows((waiting[count] as Waiting<Job, Outcome>).job);
        if (sum > rowsAGroup && count > 0) break;
      }
      const group = waiting.slice(0, count);
      waiting = waiting.slice(count);
      await settle(group);
    }
    isWriting = false;
  };

  return (job) =>
    new Promise((resolve, reject) => {
      waiting.push({ job, resolve, reject });
      if (isWriting) return;
      isWriting = true;
      void writeAll();
    });
}
