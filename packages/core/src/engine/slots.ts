/** Places of one compute, taken in order of arrival. */
export class Slots {
  readonly #waiting: { resolve: () => void; reject: (reason: unknown) => void }[] = [];
  #taken = 0;

  /** `limit` may change between calls; at least 1. Rejects with the signal's reason when aborted before a place is free. */
  async take(limit: number, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#taken < Math.max(1, limit)) return this.takeAnyway();
    const entry = Promise.withResolvers<void>();
    this.#waiting.push(entry);
    const abort = (): void => {
      const place = this.#waiting.indexOf(entry);
      if (place < 0) return;
      this.#waiting.splice(place, 1);
      entry.reject(signal.reason);
    };
    signal.addEventListener("abort", abort, { once: true });
    try {
      await entry.promise;
    } finally {
      signal.removeEventListener("abort", abort);
    }
    return this.#release();
  }

  /** For an attempt that runs already: it holds a place whatever the limit. */
  takeAnyway(): () => void {
    this.#taken += 1;
    return this.#release();
  }

  #release(): () => void {
    let released = false;
    return () => {
      if (released) return;
      released = true;
      // The place goes straight to the next in line, so that a newcomer can not slip in between.
      const next = this.#waiting.shift();
      if (next) next.resolve();
      else this.#taken -= 1;
    };
  }
}
