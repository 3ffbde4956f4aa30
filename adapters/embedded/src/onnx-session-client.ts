import { EspalierError } from "@espalier/core";
import type { InferenceSession, Tensor } from "onnxruntime-node";

export async function importOnnxRuntime(): Promise<typeof import("onnxruntime-node")> {
  return import("onnxruntime-node").catch((cause: unknown) => {
    throw new EspalierError("NOT_INSTALLED", "onnxruntime-node is not installed for this platform", {
      cause,
      hint: "npm install onnxruntime-node",
    });
  });
}

/** Loads a graph. `name` is how messages call the model. INVALID_DATA when it is none, or broken. */
export async function createSession(path: string, name: string): Promise<InferenceSession> {
  const runtime = await importOnnxRuntime();
  // One thread: sums over trees in another order would change the last digits of a score. Whoever wants more takes more sessions.
  // What goes wrong is thrown; printed by the runtime as well, a batch that is searched for its bad row would fill the log.
  const options = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4 } as const;
  return runtime.InferenceSession.create(path, options).catch((cause: unknown) => {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new EspalierError("INVALID_DATA", `The ONNX graph of \`${name}\` can not be loaded: ${text}`, {
      cause,
      at: path,
    });
  });
}

/** Values of one graph input, row-major. */
export type Feed = Float32Array | Float64Array | BigInt64Array | Int32Array | Uint8Array | string[];
export type FeedType = "float32" | "float64" | "int64" | "int32" | "bool" | "string";

export interface GraphFeed {
  name: string;
  type: FeedType;
  /** Dimensions after the rows. */
  tail: readonly number[];
  data: Feed;
}

/** One output of a graph, row-major: `data.length / rows` values a row. */
export interface GraphOutput {
  name: string;
  type: FeedType;
  data: Feed;
}

/** Runs a graph on some rows. Errors are those of the runtime, in its own words. */
export async function runSession(
  session: InferenceSession,
  feeds: readonly GraphFeed[],
  outputNames: readonly string[],
  rows: number,
): Promise<GraphOutput[]> {
  const { Tensor } = await importOnnxRuntime();
  const tensors = feeds.map(({ name, type, tail, data }) => {
    // The class is typed for one type at a time; a feed's data is of its type by construction.
    const typed = Tensor as unknown as new (type: FeedType, data: Feed, dimensions: number[]) => Tensor;
    return [name, new typed(type, data, [rows, ...tail])] as const;
  });
  const results = await session.run(Object.fromEntries(tensors), [...outputNames]);
  return outputNames.map((name) => {
    const tensor = results[name];
    if (tensor === undefined) throw new EspalierError("INTERNAL", `The runtime gave no output ${name}`);
    return { name, type: tensor.type as FeedType, data: tensor.data as Feed };
  });
}
