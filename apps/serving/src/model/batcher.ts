import { EspalierError } from "@espalier/core";
import { concatenateFeeds, type Feed } from "./layout.ts";
import type { ModelOutput } from "./model.ts";
import type { OnnxGraph } from "./onnx-graph.ts";

interface Waiting {
  feeds: readonly Feed[];
  rows: number;
  resolve(outputs: ModelOutput[]): void;
  reject(error: unknown): void;
}

export interface BatcherOptions {
  /** Rows that one run takes together; a larger request runs alone. */
  maxBatchRows: number;
  /** Requests that may wait; further ones are refused. */
  maxQueueRequests: number;
  /** Told of each run. */
  onBatch?(rows: number, requests: number): void;
}

export interface Batcher {
  /** Errors: RATE_LIMITED (the queue is full), INVALID_INPUT (the graph refuses these rows). */
  run(feeds: readonly Feed[], rows: number): Promise<ModelOutput[]>;
  queueLength(): number;
}

/**
 * Work-conserving, delay zero: a run takes whatever waits when the runtime is free, first in first out, and never waits for more.
 * When a run of several requests fails, each is run again alone, so that one bad row fails alone.
 */
export function createBatcher(model: OnnxGraph, options: BatcherOptions): Batcher {
  const queue: Waiting[] = [];
  let running = false;

  async function drain(): Promise<void> {
    while (queue.length > 0) {
      let rows = 0;
      let count = 0;
      for (const waiting of queue) {
        if (count > 0 && rows + waiting.rows > options.maxBatchRows) break;
        rows += waiting.rows;
        count++;
      }
      await runBatch(queue.splice(0, count), rows);
    }
    running = false;
  }

  async function runBatch(batch: Waiting[], rows: number): Promise<void> {
    options.onBatch?.(rows, batch.length);
    const [only] = batch;
    if (only !== undefined && batch.length === 1) return runAlone(only);
    try {
      const outputs = await model.run(concatenateFeeds(batch.map(({ feeds }) => feeds)), rows);
      let from = 0;
      for (const waiting of batch) {
        const to = from + waiting.rows;
        waiting.resolve(outputs.map((output) => sliceRows(output, from, to)));
        from = to;
      }
    } catch {
      for (const waiting of batch) await runAlone(waiting);
    }
  }

  async function runAlone(waiting: Waiting): Promise<void> {
    try {
      waiting.resolve(await model.run(waiting.feeds, waiting.rows));
    } catch (cause) {
      waiting.reject(graphError(cause));
    }
  }

  return {
    queueLength: () => queue.length,
    run(feeds, rows) {
      if (queue.length >= options.maxQueueRequests) {
        return Promise.reject(
          new EspalierError("RATE_LIMITED", `${queue.length} requests are waiting already`, {
            hint: "Try again after the time in Retry-After.",
          }),
        );
      }
      return new Promise((resolve, reject) => {
        queue.push({ feeds, rows, resolve, reject });
        if (running) return;
        running = true;
        // After the poll phase, so that every request that has already arrived shares the run.
        setImmediate(() => void drain());
      });
    },
  };
}

function sliceRows(output: ModelOutput, from: number, to: number): ModelOutput {
  const width = output.tail.reduce((product, size) => product * size, 1);
  const { data } = output;
  const part = ArrayBuffer.isView(data)
    ? (data as Float32Array).subarray(from * width, to * width)
    : (data as string[]).slice(from * width, to * width);
  return { ...output, data: part };
}

function graphError(cause: unknown): unknown {
  if (cause instanceof EspalierError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new EspalierError("INVALID_INPUT", `The model does not accept these values: ${reason}`, { cause });
}
