/** Who wants to hear that a run has new events. */
export interface RunListeners {
  /** Returns how to stop. The listener is called soon after a change, at least once for any number of changes; it then reads. */
  listen(runId: string, listener: () => void): () => void;
  /** The same for whichever run. */
  listenAll(listener: () => void): () => void;
  changed(runId: string): void;
}

export function createRunListeners(): RunListeners {
  const byRun = new Map<string, Set<() => void>>();
  const ofAll = new Set<() => void>();
  return {
    listen: (runId, listener) => {
      const listeners = byRun.get(runId) ?? new Set();
      byRun.set(runId, listeners.add(listener));
      return () => {
        listeners.delete(listener);
        if (listeners.size === 0) byRun.delete(runId);
      };
    },
    listenAll: (listener) => {
      ofAll.add(listener);
      return () => void ofAll.delete(listener);
    },
    changed: (runId) => {
      for (const listener of byRun.get(runId) ?? []) listener();
      for (const listener of ofAll) listener();
    },
  };
}
