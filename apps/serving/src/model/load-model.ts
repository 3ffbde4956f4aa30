import { createBatcher } from "./batcher.ts";
import { encode } from "./layout.ts";
import type { LoadedModel } from "./model.ts";
import { openGraph } from "./onnx-graph.ts";

export interface LoadOptions {
  /** Rows that one run takes together. */
  maxBatchRows: number;
  /** Requests that may wait; further ones are refused. */
  maxQueueRequests: number;
  /** Told of each run. */
  onBatch?(rows: number, requests: number): void;
}

/** Opens a model folder with the runtime that its format asks for. Errors: those of `openGraph`. */
export async function loadModel(folder: string, options: LoadOptions): Promise<LoadedModel> {
  const graph = await openGraph(folder);
  const batcher = createBatcher(graph, options);
  const { signature, layout } = graph;
  return {
    signature,
    platform: "onnxruntime_onnx",
    predict: (table) => batcher.run(encode(signature, layout, table), table.rows),
    queueLength: batcher.queueLength,
    release: graph.release,
  };
}
