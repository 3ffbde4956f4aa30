import type { RunEvent } from "@espalier/contract";
import { EspalierError, terminalRunStates } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { ServerEvent } from "../http/handler.ts";

/** Changes that another control plane on the same database made reach no listener of this process. */
const foreignPollMilliseconds = 2_000;

/** A run's events from a number on, until the run has ended and all are told. */
export async function* followRun(
  { record }: ControlPlane,
  reference: string,
  afterNumber: number,
  signal: AbortSignal,
): AsyncGenerator<ServerEvent<RunEvent>, void, void> {
  if (!Number.isSafeInteger(afterNumber) || afterNumber < 0) {
    throw new EspalierError("INVALID_INPUT", "Last-Event-ID is the number of an event", {
      at: "headers.last-event-id",
    });
  }
  const runId = await record.runs.resolve(reference);
  let number = afterNumber;
  let changed = Promise.withResolvers<void>();
  const stop = record.listeners.listen(runId, () => changed.resolve());
  const wake = (): void => changed.resolve();
  signal.addEventListener("abort", wake);
  try {
    while (!signal.aborted) {
      changed = Promise.withResolvers<void>();
      // The state is read before the events: an end seen here has its event among those read after it.
      const run = await record.runs.get(runId);
      const events = await record.runs.events(runId, number);
      for (const event of events) {
        number = event.number;
        yield { id: number, data: event as RunEvent };
      }
      if (events.length > 0) continue;
      if (run === undefined || terminalRunStates.includes(run.state)) return;
      const poll = setTimeout(wake, foreignPollMilliseconds);
      await changed.promise;
      clearTimeout(poll);
    }
  } finally {
    signal.removeEventListener("abort", wake);
    stop();
  }
}
