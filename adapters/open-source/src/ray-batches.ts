import { setTimeout as delay } from "node:timers/promises";
import { type ErrorCode, isEspalierError } from "@espalier/core";

export interface Batches<Item> {
  /** The job that `item` went with. */
  add(item: Item): Promise<string>;
  /** How long an item took from its submission to its end, in milliseconds. */
  took(milliseconds: number): void;
}

interface Waiting<Item> {
  item: Item;
  resolve(job: string): void;
  reject(error: unknown): void;
}

/** Of what was sent, before any of it began; anything else would be answered to a half as well. */
const refusals: readonly ErrorCode[] = ["TOO_LARGE", "INVALID_INPUT"];
const leastMilliseconds = 50;
const mostMilliseconds = 1_000;
const mostItems = 2_000;
/** Weight of the newest item in the average. */
const newest = 0.05;

/**
 * Items that come at about the same time are submitted together, for a submission costs some requests and a job seconds of a processor. They wait for others a tenth of the
 * time that items took of late, at most a second. Submissions come one after another.
 */
export function createBatches<Item>(submit: (items: readonly Item[]) => Promise<readonly string[]>): Batches<Item> {
  let waiting: Waiting<Item>[] = [];
  let averageMilliseconds = 0;
  let isBusy = false;

  /** A group that is refused may be too much, or hold one item that can not be taken: its halves are tried, and in the end each fails for itself. */
  async function submitGroup(group: readonly Waiting<Item>[]): Promise<void> {
    try {
      const jobs = await submit(group.map(({ item }) => item));
      for (const [index, { resolve }] of group.entries()) resolve(jobs[index] ?? "");
    } catch (error) {
      if (group.length > 1 && isEspalierError(error) && refusals.includes(error.code)) {
        const middle = Math.ceil(group.length / 2);
        await submitGroup(group.slice(0, middle));
        await submitGroup(group.slice(middle));
        return;
      }
      for (const { reject } of group) reject(error);
    }
  }

  async function flushAll(): Promise<void> {
    while (waiting.length > 0) {
      const patience = Math.min(mostMilliseconds, Math.max(leastMilliseconds, averageMilliseconds / 10));
      await delay(patience);
      const group = waiting.slice(0, mostItems);
      waiting = waiting.slice(group.length);
      await submitGroup(group);
    }
    isBusy = false;
  }

  return {
    add: (item) =>
      new Promise((resolve, reject) => {
        waiting.push({ item, resolve, reject });
        if (isBusy) return;
        isBusy = true;
        void flushAll();
      }),
    took(milliseconds) {
      averageMilliseconds =
        averageMilliseconds === 0 ? milliseconds : averageMilliseconds * (1 - newest) + milliseconds * newest;
    },
  };
}
