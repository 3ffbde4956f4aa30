import { setTimeout as delay } from "node:timers/promises";
import { isEspalierError } from "@espalier/core";

const leastMilliseconds = 250;
const mostMilliseconds = 5_000;

/** Repeats what failed for a reason that may pass by itself, for so long; then its last error is thrown. */
export async function withPatience<T>(ask: () => Promise<T>, milliseconds: number): Promise<T> {
  const deadline = Date.now() + milliseconds;
  for (let wait = leastMilliseconds; ; wait = Math.min(wait * 2, mostMilliseconds)) {
    try {
      return await ask();
    } catch (error) {
      if (!isEspalierError(error) || !error.retryable || Date.now() + wait > deadline) throw error;
    }
    await delay(wait);
  }
}

/** Shared work knows no caller's signal, or one that lets go would end it for all; each caller leaves it by its own. */
export async function untilAborted<T>(shared: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return shared;
  // The caller that has left hears a later rejection no more.
  shared.catch(() => undefined);
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([shared, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
