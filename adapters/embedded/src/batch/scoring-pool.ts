import { Worker } from "node:worker_threads";
import { EspalierError, toEspalierError } from "@espalier/core";
import type { FeatureBatch } from "./feature-batches.ts";
import type { ScoringReply, ScoringRequest, ScoringThreadData } from "./scoring-message.ts";

/** Batches that wait at each thread, so that it never waits for the next one. */
const queuedEach = 2;

interface Thread {
  worker: Worker;
  queued: number;
}

interface Waiting {
  thread: Thread;
  resolve(reply: ScoringReply): void;
  reject(error: unknown): void;
}

/** Whatever runs a model on batches, several at once. */
export interface Scorer {
  /** Resolves once the batch is taken, whose memory may be gone then; `reply` comes later, in any order. */
  submit(batch: Pick<FeatureBatch, "rows" | "feeds">, stopsAtFirst: boolean): Promise<{ reply: Promise<ScoringReply> }>;
  close(): Promise<void>;
}

/** Threads that run one model, each on one core: the sum over trees keeps its order, so that scores are those of a model server. */
export class ScoringPool implements Scorer {
  readonly #threads: Thread[];
  readonly #waiting = new Map<number, Waiting>();
  readonly #places: (() => void)[] = [];
  #nextId = 0;
  #failure: EspalierError | undefined;

  constructor(data: ScoringThreadData, threads: number) {
    this.#threads = Array.from({ length: threads }, () => this.#start(data));
  }

  async submit(
    batch: Pick<FeatureBatch, "rows" | "feeds">,
    stopsAtFirst: boolean,
  ): Promise<{ reply: Promise<ScoringReply> }> {
    const thread = await this.#freeThread();
    if (this.#failure !== undefined) throw this.#failure;
    const request: ScoringRequest = { id: this.#nextId++, rows: batch.rows, feeds: batch.feeds, stopsAtFirst };
    const buffers = batch.feeds.flatMap(({ data }) => (Array.isArray(data) ? [] : [data.buffer as ArrayBuffer]));
    thread.queued += 1;
    const reply = new Promise<ScoringReply>((resolve, reject) => {
      this.#waiting.set(request.id, { thread, resolve, reject });
    });
    thread.worker.postMessage(request, buffers);
    return { reply };
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }

  async #freeThread(): Promise<Thread> {
    for (;;) {
      const [thread] = [...this.#threads].sort((a, b) => a.queued - b.queued);
      if (thread !== undefined && (thread.queued < queuedEach || this.#failure !== undefined)) return thread;
      await new Promise<void>((resolve) => this.#places.push(resolve));
    }
  }

  #start(data: ScoringThreadData): Thread {
    const main = import.meta.url.endsWith(".ts") ? "../scoring-thread-main.ts" : "./scoring-thread.js";
    const worker = new Worker(new URL(main, import.meta.url), { workerData: data, name: "scoring" });
    const thread: Thread = { worker, queued: 0 };
    worker.on("message", (reply: ScoringReply) => {
      thread.queued -= 1;
      this.#waiting.get(reply.id)?.resolve(reply);
      this.#waiting.delete(reply.id);
      this.#places.shift()?.();
    });
    worker.on("error", (error) => this.#fail(toEspalierError(error)));
    worker.on("exit", (code) => {
      if (this.#waiting.size === 0) return;
      this.#fail(new EspalierError("INTERNAL", `A scoring thread ended with code ${code} before its work was done`));
    });
    return thread;
  }

  #fail(error: EspalierError): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
    for (const resolve of this.#places.splice(0)) resolve();
  }
}
