import { setTimeout as delay } from "node:timers/promises";
import { EspalierError, isEspalierError } from "@espalier/core";
import { log } from "../log.ts";
import type { Frame } from "./frames.ts";
import { startWorker, type Worker, type WorkerDescription, WorkerDied, type WorkerOptions } from "./worker.ts";

export interface WorkerPoolOptions extends WorkerOptions {
  workers: number;
  /** What one request may take. */
  timeoutSeconds: number;
  /** How long a request waits for a worker while none lives. */
  waitSeconds: number;
}

/** Workers of one model: as many as wanted, each brought back when it dies. */
export interface WorkerPool {
  readonly description: WorkerDescription;
  /**
   * Asks the next free worker. When that dies, the next is asked, `retries` times. Errors: those of `Worker.ask`, UNAVAILABLE when no worker
   * came back in time, INVALID_INPUT when the request ended every worker that tried.
   */
  ask(request: PoolRequest, retries: number): Promise<Frame>;
  /** A worker lives and has its model in memory. */
  isReady(): boolean;
  close(): Promise<void>;
}

export interface PoolRequest {
  header: Readonly<Record<string, unknown>>;
  parts: readonly Uint8Array[];
}

const pingIdleMilliseconds = 10_000;
const pingSeconds = 30;
const stopSeconds = 5;
const longestBackoffMilliseconds = 10_000;

interface Waiter {
  take(worker: Worker): void;
  fail(error: EspalierError): void;
}

/** Resolves once the first worker is ready. Errors: those of `startWorker`. */
export async function createWorkerPool(options: WorkerPoolOptions): Promise<WorkerPool> {
  const idle: Worker[] = [];
  const living = new Set<Worker>();
  /** Those that have answered a request. */
  const useful = new Set<Worker>();
  const waiters: Waiter[] = [];
  const stopping = new AbortController();
  let restarts = 0;
  let lastFailure = "it has not started yet";

  function offer(worker: Worker): void {
    if (!living.has(worker)) return;
    const next = waiters.shift();
    if (next === undefined) idle.push(worker);
    else next.take(worker);
  }

  function enter(worker: Worker): Promise<string> {
    living.add(worker);
    log("info", "A Python worker is ready", { workerPid: worker.pid });
    const gone = worker.ended.then((reason) => {
      living.delete(worker);
      const at = idle.indexOf(worker);
      if (at >= 0) idle.splice(at, 1);
      return reason;
    });
    offer(worker);
    return gone;
  }

  /** One place for a worker: as soon as one dies the next is started; with growing pauses when they do not live. */
  async function keep(first: Worker | undefined): Promise<void> {
    let worker = first;
    let failures = 0;
    while (!stopping.signal.aborted) {
      if (worker === undefined) {
        try {
          worker = await startWorker({ ...options, signal: stopping.signal });
        } catch (error) {
          if (stopping.signal.aborted) return;
          failures++;
          lastFailure = error instanceof Error ? error.message : String(error);
          log("error", `A Python worker did not start: ${lastFailure}`, { failures });
          await pause(failures);
          continue;
        }
      }
      if (stopping.signal.aborted) {
        await worker.stop(stopSeconds);
        return;
      }
      const lived = worker;
      lastFailure = await enter(lived);
      worker = undefined;
      if (stopping.signal.aborted) return;
      restarts++;
      log("warn", `A Python worker is gone: ${lastFailure}`, { restarts });
      // One that answered is worth an immediate start; one that dies at its first request again and again is not.
      failures = useful.delete(lived) ? 0 : failures + 1;
      if (failures > 2) await pause(failures - 2);
    }
  }

  async function pause(failures: number): Promise<void> {
    const milliseconds = Math.min(longestBackoffMilliseconds, 250 * 2 ** failures);
    // Ended early by close; then there is nothing more to wait for.
    await delay(milliseconds, undefined, { signal: stopping.signal, ref: false }).catch(() => undefined);
  }

  function free(): Promise<Worker> {
    const worker = idle.pop();
    if (worker !== undefined) return Promise.resolve(worker);
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        take(taken) {
          clearInterval(timer);
          resolve(taken);
        },
        fail(error) {
          clearInterval(timer);
          reject(error);
        },
      };
      // Behind a long run that is under way one may wait longer: that has a limit of its own.
      let awaySince = performance.now();
      const timer = setInterval(() => {
        if (living.size > 0) awaySince = performance.now();
        else if (performance.now() - awaySince >= options.waitSeconds * 1000) {
          waiters.splice(waiters.indexOf(waiter), 1);
          waiter.fail(
            new EspalierError(
              "UNAVAILABLE",
              `No Python worker came back within ${options.waitSeconds} s: ${lastFailure}`,
            ),
          );
        }
      }, 250);
      waiters.push(waiter);
    });
  }

  async function ask(request: PoolRequest, retries: number): Promise<Frame> {
    for (let tries = 0; ; tries++) {
      if (stopping.signal.aborted) throw closed();
      const worker = await free();
      try {
        const frame = await worker.ask(request.header, request.parts, options.timeoutSeconds);
        useful.add(worker);
        offer(worker);
        return frame;
      } catch (error) {
        // What the worker answered itself. After a timeout, and out of memory, it ends, and is not offered again.
        if (isEspalierError(error) && error.code !== "TIMEOUT" && error.code !== "TOO_LARGE") offer(worker);
        if (!(error instanceof WorkerDied)) throw error;
        if (tries < retries) continue;
        if (retries === 0) throw error;
        throw new EspalierError(
          "INVALID_INPUT",
          `These rows ended the model's worker ${tries + 1} times: ${error.message}`,
          {
            hint: "They are not tried again. The server's log has what the worker printed.",
            cause: error,
          },
        );
      }
    }
  }

  /** A worker that hangs without a request is found before the next one comes. */
  const pinging = setInterval(() => {
    const worker = idle.shift();
    if (worker === undefined) return;
    worker.ask({ op: "ping" }, [], pingSeconds).then(
      () => offer(worker),
      (error: unknown) =>
        log("warn", `A Python worker does not answer: ${error instanceof Error ? error.message : error}`),
    );
  }, pingIdleMilliseconds).unref();

  const first = await startWorker(options).catch((error: unknown) => {
    clearInterval(pinging);
    throw error;
  });
  const places = Array.from({ length: options.workers }, (_, index) => keep(index === 0 ? first : undefined));

  return {
    description: first.description,
    ask,
    isReady: () => living.size > 0,
    async close() {
      stopping.abort();
      clearInterval(pinging);
      for (const waiter of waiters.splice(0)) waiter.fail(closed());
      await Promise.all([...living].map((worker) => worker.stop(stopSeconds)));
      await Promise.all(places);
    },
  };
}

function closed(): EspalierError {
  return new EspalierError("UNAVAILABLE", "The model is being unloaded");
}
