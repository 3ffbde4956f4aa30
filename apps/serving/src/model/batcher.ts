import { EspalierError } from "@espalier/core";
import type { ModelCall } from "./model.ts";

/** One run of the model, as it was seen by those who waited for it. */
export interface RunReport {
  rows: number;
  requests: number;
  /** Sum over the requests. */
  queueMilliseconds: number;
  runMilliseconds: number;
  failed: boolean;
}

export interface BatcherOptions<Input, Output> {
  /** Runs inputs of one group together; answers one output an input, in their order. */
  run(inputs: readonly Input[], rows: number): Promise<readonly Output[]>;
  /** Rows that one run takes together; a larger request runs alone. */
  maxBatchRows: number;
  /** Requests that may wait; further ones are refused. */
  maxQueueRequests: number;
  /** Requests that may wait or run; further ones are refused. Absent: only the queue is bounded. */
  maxConcurrentRequests?: number;
  /** Requests of the same model in other batchers, which count against that limit too. */
  othersInFlight?(): number;
  /** Runs at one time; 1 when absent. */
  maxConcurrentRuns?: number;
  /** How long a run that is not full waits for company; 0 when absent, since waiting costs every request and gains few. */
  maxDelayMilliseconds?: number;
  /** Told of each run, failed ones and their repetitions too. */
  onRun?(report: RunReport): void;
}

export interface BatchedCall extends ModelCall {
  /** Only requests of one group share a run: same feed shapes and types, same parameters. */
  group?: string;
}

export interface Batcher<Input, Output> {
  /**
   * Errors: RATE_LIMITED (the queue is full), TIMEOUT (the deadline passed in the queue), CANCELLED (the caller went), UNAVAILABLE (closed),
   * and those of `run`.
   */
  run(input: Input, rows: number, call?: BatchedCall): Promise<Output>;
  queueLength(): number;
  /** How long the oldest request has waited. */
  queueAgeMilliseconds(): number;
  /** Requests that wait or run. */
  inFlight(): number;
  /** Takes no more; resolves once everything taken is answered. */
  close(): Promise<void>;
}

interface Waiting<Input, Output> {
  input: Input;
  rows: number;
  queuedAt: number;
  call: BatchedCall | undefined;
  resolve(output: Output): void;
  reject(error: unknown): void;
}

/** Faults that are not the rows': asking again in halves would only repeat them. */
const notOfTheRows = new Set(["UNAVAILABLE", "TIMEOUT", "RATE_LIMITED", "CANCELLED", "NOT_INSTALLED"]);

/**
 * Work-conserving, first in first out inside a group, groups in turn: a run takes whatever waits when the runtime is free. When a run of
 * several requests fails, its halves are run again, and theirs, so that one bad row fails alone and costs two runs a halving.
 */
export function createBatcher<Input, Output>(options: BatcherOptions<Input, Output>): Batcher<Input, Output> {
  const { maxBatchRows, maxQueueRequests, maxDelayMilliseconds = 0 } = options;
  const maxRuns = options.maxConcurrentRuns ?? 1;
  const maxRequests = options.maxConcurrentRequests ?? Number.POSITIVE_INFINITY;
  type Item = Waiting<Input, Output>;
  const groups = new Map<string, Item[]>();
  let queued = 0;
  let perishable = 0;
  let inFlight = 0;
  let running = 0;
  let scheduled = false;
  let delayTimer: NodeJS.Timeout | undefined;
  let deadlineTimer: NodeJS.Timeout | undefined;
  let deadlineTimerAt = Number.POSITIVE_INFINITY;
  let isClosed = false;
  let whenIdle: (() => void) | undefined;

  function start(): void {
    scheduled = false;
    while (running < maxRuns && queued > 0) {
      if (perishable > 0) dropLapsed();
      const batch = take();
      if (batch === undefined) return;
      running++;
      void execute(batch).then(() => {
        running--;
        inFlight -= batch.length;
        if (queued > 0) start();
        else if (isClosed && inFlight === 0) whenIdle?.();
      });
    }
  }

  function take(): Item[] | undefined {
    let wait = Number.POSITIVE_INFINITY;
    for (const [group, queue] of groups) {
      let rows = 0;
      let count = 0;
      for (const waiting of queue) {
        if (count > 0 && rows + waiting.rows > maxBatchRows) break;
        rows += waiting.rows;
        count++;
      }
      if (maxDelayMilliseconds > 0 && rows < maxBatchRows && !isClosed) {
        const left = (queue[0]?.queuedAt ?? 0) + maxDelayMilliseconds - performance.now();
        if (left > 0) {
          wait = Math.min(wait, left);
          continue;
        }
      }
      groups.delete(group);
      const batch = count === queue.length ? queue : queue.splice(0, count);
      // Behind the others, so that no group starves another.
      if (batch !== queue) groups.set(group, queue);
      queued -= batch.length;
      for (const { call } of batch) if (isPerishable(call)) perishable--;
      return batch;
    }
    clearTimeout(delayTimer);
    if (wait !== Number.POSITIVE_INFINITY) delayTimer = setTimeout(start, Math.ceil(wait));
    return undefined;
  }

  async function execute(batch: readonly Item[]): Promise<void> {
    const startedAt = performance.now();
    let rows = 0;
    let queueMilliseconds = 0;
    for (const waiting of batch) {
      rows += waiting.rows;
      queueMilliseconds += startedAt - waiting.queuedAt;
    }
    const report = (failed: boolean): void => {
      const endedAt = performance.now();
      for (const { call, queuedAt } of batch) {
        if (call?.timing === undefined) continue;
        call.timing.queuedAt = queuedAt;
        call.timing.startedAt = startedAt;
        call.timing.endedAt = endedAt;
      }
      const runMilliseconds = endedAt - startedAt;
      options.onRun?.({ rows, requests: batch.length, queueMilliseconds, runMilliseconds, failed });
    };
    let outputs: readonly Output[];
    try {
      outputs = await options.run(
        batch.map(({ input }) => input),
        rows,
      );
      if (outputs.length !== batch.length) throw new Error(`${outputs.length} outputs for ${batch.length} requests`);
    } catch (error) {
      report(true);
      if (batch.length > 1 && isOfTheRows(error)) {
        const half = batch.length >> 1;
        await execute(batch.slice(0, half));
        await execute(batch.slice(half));
      } else for (const waiting of batch) waiting.reject(error);
      return;
    }
    report(false);
    for (const [index, waiting] of batch.entries()) waiting.resolve(outputs[index] as Output);
  }

  /** Those whose caller has gone, or whose deadline has passed, cost no run. */
  function dropLapsed(): void {
    const now = Date.now();
    for (const [group, queue] of groups) {
      if (!queue.some((waiting) => lapse(waiting, now) !== undefined)) continue;
      const kept = queue.filter((waiting) => {
        const error = lapse(waiting, now);
        if (error === undefined) return true;
        queued--;
        perishable--;
        inFlight--;
        waiting.reject(error);
        return false;
      });
      if (kept.length === 0) groups.delete(group);
      else groups.set(group, kept);
    }
    if (isClosed && inFlight === 0) whenIdle?.();
  }

  /** While a long run holds the runtime, deadlines still pass on time. */
  function watchDeadline(deadline: number): void {
    if (deadline >= deadlineTimerAt) return;
    clearTimeout(deadlineTimer);
    deadlineTimerAt = deadline;
    deadlineTimer = setTimeout(
      () => {
        deadlineTimerAt = Number.POSITIVE_INFINITY;
        dropLapsed();
        for (const queue of groups.values())
          for (const { call } of queue) if (call?.deadline) watchDeadline(call.deadline);
      },
      Math.min(Math.max(0, deadline - Date.now()) + 1, 2 ** 31 - 1),
    ).unref();
  }

  function refusal(): EspalierError | undefined {
    if (isClosed) return new EspalierError("UNAVAILABLE", "The model is being unloaded");
    const others = options.othersInFlight?.() ?? 0;
    if (queued < maxQueueRequests && inFlight + others < maxRequests) return undefined;
    // Those that nobody waits for must not keep others out.
    if (perishable > 0) dropLapsed();
    if (queued >= maxQueueRequests) return overload(`${queued} requests are waiting already`);
    if (inFlight + others >= maxRequests) return overload(`${inFlight + others} requests are being served already`);
    return undefined;
  }

  return {
    queueLength: () => queued,
    queueAgeMilliseconds() {
      let oldest = Number.POSITIVE_INFINITY;
      for (const queue of groups.values()) oldest = Math.min(oldest, queue[0]?.queuedAt ?? oldest);
      return oldest === Number.POSITIVE_INFINITY ? 0 : performance.now() - oldest;
    },
    inFlight: () => inFlight,
    run(input, rows, call) {
      const refused = refusal();
      if (refused !== undefined) return Promise.reject(refused);
      return new Promise((resolve, reject) => {
        const waiting: Item = { input, rows, queuedAt: performance.now(), call, resolve, reject };
        const group = call?.group ?? "";
        const queue = groups.get(group);
        if (queue === undefined) groups.set(group, [waiting]);
        else queue.push(waiting);
        queued++;
        inFlight++;
        if (isPerishable(call)) perishable++;
        if (call?.deadline !== undefined) watchDeadline(call.deadline);
        if (scheduled || running >= maxRuns) return;
        scheduled = true;
        // After the poll phase, so that every request that has already arrived shares the run.
        setImmediate(start);
      });
    },
    async close() {
      isClosed = true;
      if (inFlight === 0) return;
      const idle = new Promise<void>((resolve) => {
        whenIdle = resolve;
      });
      start();
      await idle;
    },
  };
}

function isPerishable(call: BatchedCall | undefined): boolean {
  return call?.deadline !== undefined || call?.signal !== undefined;
}

function lapse({ call, queuedAt }: Waiting<unknown, unknown>, now: number): EspalierError | undefined {
  if (call?.signal?.aborted === true) return new EspalierError("CANCELLED", "The caller waits no longer");
  if (call?.deadline === undefined || call.deadline > now) return undefined;
  const waited = ((performance.now() - queuedAt) / 1000).toFixed(3);
  return new EspalierError("TIMEOUT", `The request's deadline passed after ${waited} s in the queue`, {
    details: { reason: "REJECTED" },
    hint: "The model is overloaded: try again later, allow more time, or add replicas.",
  });
}

function overload(message: string): EspalierError {
  return new EspalierError("RATE_LIMITED", message, { hint: "Try again after the time in Retry-After." });
}

function isOfTheRows(error: unknown): boolean {
  return !(error instanceof Error && "code" in error && notOfTheRows.has(String(error.code)));
}
