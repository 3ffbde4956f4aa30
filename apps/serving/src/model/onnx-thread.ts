import { Worker } from "node:worker_threads";
import type { TensorMetadata } from "./layout.ts";
import type { OnnxFeed, OnnxTensor } from "./onnx-client.ts";

/** What main thread and worker thread say to each other. */
export interface ThreadStart {
  file: string;
}
export type ThreadQuestion = { kind: "run"; feeds: readonly OnnxFeed[]; outputs: readonly string[] } | { kind: "end" };
export type ThreadAnswer =
  | ({ kind: "ready" } & GraphMetadata)
  | { kind: "outputs"; outputs: OnnxTensor[] }
  | { kind: "failed"; message: string };

export interface GraphMetadata {
  inputs: TensorMetadata[];
  outputs: TensorMetadata[];
}

/** The thread ended under its run; the run may be repeated elsewhere. */
export class ThreadCrashed extends Error {}

/** One worker thread with one session. Its user waits for one run before the next. */
export interface OnnxThread {
  /** Errors: what opening the model said. */
  ready: Promise<GraphMetadata>;
  /** Errors: those of onnxruntime, ThreadCrashed. */
  run(feeds: readonly OnnxFeed[], outputs: readonly string[]): Promise<OnnxTensor[]>;
  /** False once the thread has ended. */
  isAlive(): boolean;
  /** Gives the session's memory back, after the run under way. */
  end(): Promise<void>;
}

function startWorker(file: string): Worker {
  const entry = import.meta.url.endsWith(".ts") ? "./onnx-thread-main.ts" : "./onnx-thread.js";
  // A test runner's or a debugger's own flags are not for this thread.
  return new Worker(new URL(entry, import.meta.url), {
    workerData: { file } satisfies ThreadStart,
    execArgv: [],
    name: "onnx",
  });
}

export function startOnnxThread(file: string, start: (file: string) => Worker = startWorker): OnnxThread {
  const worker = start(file);
  let alive = true;
  let failure: Error | undefined;
  let waiting: { resolve(outputs: OnnxTensor[]): void; reject(error: unknown): void } | undefined;
  const ready = Promise.withResolvers<GraphMetadata>();
  const gone = Promise.withResolvers<void>();
  // Whoever asks for a run hears of it then.
  ready.promise.catch(() => undefined);
  // Only while somebody waits for an answer may the thread keep the process alive.
  worker.unref();

  function settle(): typeof waiting {
    const asked = waiting;
    waiting = undefined;
    worker.unref();
    return asked;
  }
  worker.on("message", (answer: ThreadAnswer) => {
    if (answer.kind === "ready") ready.resolve({ inputs: answer.inputs, outputs: answer.outputs });
    else if (answer.kind === "outputs") settle()?.resolve(answer.outputs);
    else settle()?.reject(new Error(answer.message));
  });
  worker.on("error", (error) => {
    failure = error instanceof Error ? error : new Error(String(error));
    ready.reject(failure);
  });
  worker.on("exit", (code) => {
    alive = false;
    const crash = new ThreadCrashed(failure?.message ?? `The model's thread ended with code ${code}`, {
      cause: failure,
    });
    ready.reject(crash);
    settle()?.reject(crash);
    gone.resolve();
  });

  return {
    ready: ready.promise,
    isAlive: () => alive,
    run: (feeds, outputs) =>
      new Promise((resolve, reject) => {
        if (!alive) return reject(new ThreadCrashed("The model's thread has ended"));
        waiting = { resolve, reject };
        worker.ref();
        // Copied and not transferred, so that a run whose thread dies can be repeated.
        worker.postMessage({ kind: "run", feeds, outputs } satisfies ThreadQuestion);
      }),
    async end() {
      if (!alive) return;
      worker.ref();
      worker.postMessage({ kind: "end" } satisfies ThreadQuestion);
      await gone.promise;
    },
  };
}
