import { isEspalierError, toEspalierError } from "../errors.ts";
import type { RunRow } from "../record/engine-record.ts";
import { terminalRunStates } from "../record/states.ts";
import { driveRun, loadRun } from "./drive-run.ts";
import { failpoint } from "./failpoint.ts";
import { LetGo } from "./let-go.ts";
import type { EngineOptions } from "./options.ts";
import type { RunContext } from "./run-context.ts";
import { Slots } from "./slots.ts";

export interface Engine {
  /** Takes up what is queued and what a process that died left behind; resolves once the first look is done. */
  start(): Promise<void>;
  /** Something changed: a run was created, cancelled, or a person approved. Without an id, the engine looks at all. */
  wake(runId?: string): void;
  /** Lets go of all runs; steps that run go on and are adopted at the next start. */
  stop(): Promise<void>;
  /** Resolves with the run once it is terminal; with undefined when there is no such run. Rejects when the engine stops before. */
  finished(runId: string): Promise<RunRow | undefined>;
}

interface Driven {
  /** Of the claim: the lease is renewed from then on, not only once all of the run is read. */
  epoch: number;
  letGo: AbortController;
  context?: RunContext;
  done: Promise<void>;
}

export function createEngine(options: EngineOptions): Engine {
  const { record, clock } = options;
  const driven = new Map<string, Driven>();
  const slots = new Map<string, Slots>();
  const endings = new Map<string, PromiseWithResolvers<RunRow | undefined>[]>();
  const stopping = new AbortController();
  const slotsOf = (compute: string): Slots => {
    const found = slots.get(compute) ?? new Slots();
    slots.set(compute, found);
    return found;
  };

  async function drive(run: RunRow, letGo: AbortController, entry: Driven): Promise<void> {
    try {
      failpoint("run-claimed");
      const context = await loadRun(options, run, letGo, slotsOf);
      entry.context = context;
      const ended = await driveRun(context);
      settleEndings(run.id, ended);
      await options.onRunEnded?.(ended);
    } catch (error) {
      if (error instanceof LetGo) return;
      options.onError(error, { runId: run.id, doing: "driving the run" });
      await giveUp(run, letGo, error);
    }
  }

  /** A fault before any step could be driven (a run whose options make no sense) must not leave the run stuck. */
  async function giveUp(run: RunRow, letGo: AbortController, cause: unknown): Promise<void> {
    if (letGo.signal.aborted || (isEspalierError(cause) && cause.retryable)) return;
    try {
      const error = toEspalierError(cause).toJSON();
      await record.moveRun(run.id, run.leaseEpoch, { from: ["queued", "running"], to: "failed" }, { error });
      settleEndings(run.id, { ...run, state: "failed", error });
    } catch (error) {
      options.onError(error, { runId: run.id, doing: "failing the run" });
    }
  }

  function settleEndings(runId: string, run: RunRow): void {
    for (const waiting of endings.get(runId) ?? []) waiting.resolve(run);
    endings.delete(runId);
  }

  let looking: Promise<void> | undefined;
  let lookAgain = false;
  /** One look at a time; a wake meanwhile leads to one more look, never to none. */
  function look(): Promise<void> {
    lookAgain = true;
    looking ??= (async () => {
      try {
        while (lookAgain && !stopping.signal.aborted) {
          lookAgain = false;
          await takeUp();
        }
      } catch (error) {
        options.onError(error, { doing: "claiming runs" });
      } finally {
        looking = undefined;
      }
    })();
    return looking;
  }

  async function takeUp(): Promise<void> {
    for (const run of await record.claimRuns(options.owner, options.leaseSeconds)) {
      // A lease of ours that ran out and was claimed anew: the driver under the old epoch must go first.
      const before = driven.get(run.id);
      before?.letGo.abort(new LetGo("claimed again"));
      const letGo = new AbortController();
      const entry: Driven = { epoch: run.leaseEpoch, letGo, done: Promise.resolve() };
      driven.set(run.id, entry);
      entry.done = (before?.done ?? Promise.resolve())
        .then(() => drive(run, letGo, entry))
        .finally(() => {
          if (driven.get(run.id) === entry) driven.delete(run.id);
        });
    }
  }

  async function checkCancel(runId: string): Promise<void> {
    const entry = driven.get(runId);
    if (!entry) return;
    const run = await record.run(runId);
    hear(entry, run?.cancelRequested === true);
  }

  function hear(entry: Driven, cancelRequested: boolean): void {
    if (cancelRequested) entry.context?.cancel.abort();
    entry.context?.poke();
  }

  async function renew(): Promise<void> {
    const held = new Map([...driven]);
    if (held.size === 0) return;
    const leases = [...held].map(([runId, { epoch }]) => ({ runId, epoch }));
    const renewed = await record.renewLeases(leases, options.leaseSeconds);
    const kept = new Map(renewed.map((lease) => [lease.runId, lease]));
    for (const [runId, entry] of held) {
      const lease = kept.get(runId);
      if (lease) hear(entry, lease.cancelRequested);
      else entry.letGo.abort(new LetGo("the lease is lost"));
    }
  }

  /** Renews leases and looks for what other processes left or asked for; local changes arrive by `wake`. */
  async function heartbeat(): Promise<void> {
    for (;;) {
      try {
        await clock.delay((options.leaseSeconds * 1_000) / 3, stopping.signal);
      } catch {
        return;
      }
      try {
        await renew();
      } catch (error) {
        options.onError(error, { doing: "renewing leases" });
      }
      // Not waited for: taking up a thousand runs must not let the leases of the others run out.
      void look();
    }
  }

  let beating: Promise<void> | undefined;
  return {
    async start() {
      await look();
      beating ??= heartbeat();
    },
    wake(runId) {
      if (stopping.signal.aborted) return;
      const report = (error: unknown): void => options.onError(error, { doing: "waking" });
      if (runId === undefined) for (const id of driven.keys()) checkCancel(id).catch(report);
      else checkCancel(runId).catch(report);
      look().catch(report);
    },
    async stop() {
      stopping.abort(new LetGo("the engine stops"));
      await looking;
      for (const entry of driven.values()) entry.letGo.abort(new LetGo("the engine stops"));
      await Promise.all([...driven.values()].map((entry) => entry.done));
      await beating;
      for (const waiting of [...endings.values()].flat()) waiting.reject(new LetGo("the engine stops"));
      endings.clear();
    },
    async finished(runId) {
      const waiting = Promise.withResolvers<RunRow | undefined>();
      waiting.promise.catch(() => undefined);
      endings.set(runId, [...(endings.get(runId) ?? []), waiting]);
      // Looked up after the waiter is in place, or an end in between would be missed.
      const run = await record.run(runId);
      if (!run || terminalRunStates.includes(run.state)) waiting.resolve(run);
      return waiting.promise;
    },
  };
}
