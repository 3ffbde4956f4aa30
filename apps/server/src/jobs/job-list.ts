import { EspalierError } from "@espalier/core";

interface Job {
  id: string;
  state: string;
}

/** Jobs of this process, newest kept; they are in no record, since doing one again goes on where it was. */
export interface JobList<Of extends Job> {
  add(job: Of): Of;
  change(id: string, fields: Partial<Of>): void;
  /** NOT_FOUND. */
  get(id: string): Of;
  /** As it is now and after each change, until it ends. */
  follow(id: string, signal: AbortSignal): AsyncGenerator<Of>;
  running(): Of[];
}

const remembered = 100;

export function createJobList<Of extends Job>(notFound: { what: string; hint: string }): JobList<Of> {
  const known = new Map<string, Of>();
  const changes = new EventTarget();

  const get = (id: string): Of => {
    const found = known.get(id);
    if (found !== undefined) return found;
    throw new EspalierError("NOT_FOUND", `This control plane knows no ${notFound.what} ${id}`, { hint: notFound.hint });
  };

  return {
    get,
    add(job) {
      for (const old of [...known.values()].slice(0, -remembered)) if (old.state !== "running") known.delete(old.id);
      known.set(job.id, job);
      return job;
    },
    change(id, fields) {
      const before = known.get(id);
      if (before === undefined) return;
      known.set(id, { ...before, ...fields });
      changes.dispatchEvent(new Event(id));
    },
    running: () => [...known.values()].filter(({ state }) => state === "running"),
    follow: async function* (id, signal) {
      for (;;) {
        const changed = Promise.withResolvers<void>();
        const wake = (): void => changed.resolve();
        changes.addEventListener(id, wake, { once: true });
        signal.addEventListener("abort", wake, { once: true });
        try {
          const now = get(id);
          yield now;
          if (now.state !== "running" || signal.aborted) return;
          await changed.promise;
        } finally {
          changes.removeEventListener(id, wake);
          signal.removeEventListener("abort", wake);
        }
      }
    },
  };
}
