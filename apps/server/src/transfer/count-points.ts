import type { TrackedPoint } from "@espalier/core";

/**
 * Counts the points of a run that differ: stores of files hold some twice, and ours holds none twice. As long as a key's points come in
 * order of time, equal ones are neighbours in time, so that little has to be remembered; a key out of order has to be read once more.
 */
export interface PointCount {
  add(points: readonly TrackedPoint[]): void;
  /** Of the keys that came in order. */
  distinct(): number;
  /** Keys whose points have to be counted by `countAll`. */
  unordered(): string[];
}

export function createPointCount(): PointCount {
  let ordered = 0;
  const counts = new Map<string, number>();
  const unordered = new Set<string>();
  let key: string | undefined;
  let time: number | bigint = 0;
  let atTime = new Set<string>();
  return {
    add: (points) => {
      for (const point of points) {
        if (point.key !== key) {
          key = point.key;
          atTime = new Set();
          time = point.timestamp;
        }
        if (unordered.has(point.key)) continue;
        if (point.timestamp < time) {
          unordered.add(point.key);
          ordered -= counts.get(point.key) ?? 0;
          continue;
        }
        if (point.timestamp > time) atTime = new Set();
        time = point.timestamp;
        const identity = identityOf(point);
        if (atTime.has(identity)) continue;
        atTime.add(identity);
        ordered += 1;
        counts.set(point.key, (counts.get(point.key) ?? 0) + 1);
      }
    },
    distinct: () => ordered,
    unordered: () => [...unordered],
  };
}

/** Remembers every point of one key. */
export async function countAll(batches: AsyncIterable<readonly TrackedPoint[]>, key: string): Promise<number> {
  const seen = new Set<string>();
  for await (const points of batches) for (const point of points) if (point.key === key) seen.add(identityOf(point));
  return seen.size;
}

// Adding 0 makes of a negative zero the one that databases keep.
const identityOf = ({ step, timestamp, value }: TrackedPoint): string => `${step} ${timestamp} ${value + 0}`;
