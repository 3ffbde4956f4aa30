import { EspalierError } from "@espalier/core";
import type { OnnxFeed, OnnxTensor } from "./onnx-client.ts";
import { type OnnxThread, startOnnxThread, ThreadCrashed } from "./onnx-thread.ts";

export interface OnnxPoolOptions {
  file: string;
  /** Most threads; each is started when a run finds none free. */
  threads: number;
  /** Threads that stay when nothing runs; the others end after a while and give their memory back. */
  keptThreads: number;
  idleMilliseconds?: number;
  start?(file: string): OnnxThread;
}

export interface OnnxPool {
  /** A run whose thread dies is repeated once by another. Errors: those of onnxruntime, UNAVAILABLE. */
  run(feeds: readonly OnnxFeed[], outputs: readonly string[]): Promise<OnnxTensor[]>;
  /** Threads that live. */
  threads(): number;
  /** After what is under way. */
  release(): Promise<void>;
}

const defaultIdleMilliseconds = 60_000;

/** Sessions of one model in worker threads, so that a heavy run blocks no other model and no health check. */
export function createOnnxPool(options: OnnxPoolOptions, first?: OnnxThread): OnnxPool {
  const { file, keptThreads, idleMilliseconds = defaultIdleMilliseconds, start = startOnnxThread } = options;
  const all = new Set<OnnxThread>(first === undefined ? [] : [first]);
  const idle: OnnxThread[] = [...all];
  const wanted: PromiseWithResolvers<OnnxThread>[] = [];
  let idleTimer: NodeJS.Timeout | undefined;

  async function acquire(): Promise<OnnxThread> {
    for (;;) {
      const thread = idle.pop();
      if (thread === undefined) break;
      if (thread.isAlive()) return thread;
      all.delete(thread);
    }
    if (all.size >= options.threads) {
      const turn = Promise.withResolvers<OnnxThread>();
      wanted.push(turn);
      return turn.promise;
    }
    const thread = start(file);
    all.add(thread);
    try {
      await thread.ready;
    } catch (cause) {
      giveBack(thread);
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new EspalierError("UNAVAILABLE", `A thread of the model can not be started: ${reason}`, { cause });
    }
    return thread;
  }

  function giveBack(thread: OnnxThread): void {
    const next = wanted.shift();
    if (!thread.isAlive()) {
      all.delete(thread);
      // The place of the dead one is for whoever waits.
      if (next !== undefined) acquire().then(next.resolve, next.reject);
    } else if (next !== undefined) next.resolve(thread);
    else {
      idle.push(thread);
      idleTimer ??= setTimeout(shrink, idleMilliseconds).unref();
    }
  }

  function shrink(): void {
    idleTimer = undefined;
    while (all.size > keptThreads) {
      const thread = idle.shift();
      if (thread === undefined) return;
      all.delete(thread);
      void thread.end();
    }
  }

  async function attempt(feeds: readonly OnnxFeed[], outputs: readonly string[]): Promise<OnnxTensor[]> {
    const thread = await acquire();
    try {
      return await thread.run(feeds, outputs);
    } finally {
      giveBack(thread);
    }
  }

  return {
    threads: () => all.size,
    async run(feeds, outputs) {
      try {
        return await attempt(feeds, outputs);
      } catch (error) {
        if (!(error instanceof ThreadCrashed)) throw error;
      }
      try {
        return await attempt(feeds, outputs);
      } catch (error) {
        if (!(error instanceof ThreadCrashed)) throw error;
        throw new EspalierError("UNAVAILABLE", `The model's thread died twice under this run: ${error.message}`, {
          cause: error,
        });
      }
    },
    async release() {
      clearTimeout(idleTimer);
      await Promise.all([...all].map((thread) => thread.end()));
    },
  };
}
