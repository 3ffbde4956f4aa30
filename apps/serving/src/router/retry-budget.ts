/**
 * How often requests may be asked again. A server that dies breaks many requests at one moment, and each may be asked once more; servers
 * that keep failing must not be asked several times as often as their callers ask.
 */
export interface RetryBudget {
  /** A request was taken on: what it may add to the budget. */
  earn(): void;
  /** Whether one more retry is allowed; it is spent then. */
  spend(): boolean;
}

const burst = 2000;
const share = 0.2;
const perSecond = 10;

export function createRetryBudget(now: () => number = () => performance.now()): RetryBudget {
  let tokens = burst;
  let last = now();
  return {
    earn() {
      if (tokens < burst) tokens = Math.min(burst, tokens + share);
    },
    spend() {
      const time = now();
      tokens = Math.min(burst, tokens + ((time - last) / 1000) * perSecond);
      last = time;
      if (tokens < 1) return false;
      tokens--;
      return true;
    },
  };
}
