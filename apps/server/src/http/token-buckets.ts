export interface BucketOptions {
  /** Tokens that come back, for each key. */
  perSecond: number;
  /** Tokens of a key that was quiet. */
  burst: number;
  /** Keys that are remembered; of more, the one that was asked for longest ago is forgotten. */
  mostKeys?: number;
  /** ms, monotonic. */
  now?: () => number;
}

export interface TokenBuckets {
  /** Takes a token: 0 when there was one, else the milliseconds until there is. */
  take(key: string): number;
  /** The same without taking one. */
  wait(key: string): number;
}

/** Token buckets by key, each one number: the time at which it will be full again. Memory is bounded, whoever sends how many keys. */
export function createTokenBuckets(options: BucketOptions): TokenBuckets {
  const { perSecond, burst, mostKeys = 10_000, now = () => performance.now() } = options;
  const interval = 1000 / perSecond;
  const fullAt = new Map<string, number>();
  const wait = (key: string): number => {
    const at = now();
    return Math.max(0, Math.max(fullAt.get(key) ?? at, at) + interval - burst * interval - at);
  };
  return {
    wait,
    take(key) {
      const missing = wait(key);
      if (missing > 0) return missing;
      const full = Math.max(fullAt.get(key) ?? 0, now()) + interval;
      // Deleted first, so that the map stays in the order of last use.
      fullAt.delete(key);
      fullAt.set(key, full);
      if (fullAt.size > mostKeys) fullAt.delete(fullAt.keys().next().value ?? "");
      return 0;
    },
  };
}
