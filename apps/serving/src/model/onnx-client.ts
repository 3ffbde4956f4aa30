import type { InferenceSession, TypedTensor } from "onnxruntime-node";
import type { TensorMetadata } from "./layout.ts";

/**
 * The slice of onnxruntime that is used: names, shapes, and a run. Nothing of the trunk is imported here, since worker threads load this
 * file and nothing else, and start the faster for it.
 */
export interface OnnxSession {
  inputs: readonly TensorMetadata[];
  outputs: readonly TensorMetadata[];
  /** Blocks this thread while the graph runs. */
  run(feeds: readonly OnnxFeed[], outputs: readonly string[]): Promise<OnnxTensor[]>;
  release(): Promise<void>;
}

/** One input tensor; `data` is a typed array or a list of strings. */
export interface OnnxFeed {
  name: string;
  type: string;
  data: unknown;
  dimensions: readonly number[];
}

export interface OnnxTensor {
  name: string;
  type: string;
  dimensions: readonly number[];
  data: ArrayLike<number | bigint | string | boolean>;
}

/**
 * Opens an ONNX file with one thread: `run` blocks its thread, so further threads of one small model only steal from the server.
 * Errors: those of onnxruntime, and of the import when it is not installed.
 */
export async function openOnnxSession(file: string): Promise<OnnxSession> {
  const runtime = await import("onnxruntime-node");
  const session: InferenceSession = await runtime.InferenceSession.create(file, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: "sequential",
    logSeverityLevel: 4,
  });
  const quiet = { logSeverityLevel: 4 } as const;
  return {
    inputs: session.inputMetadata,
    outputs: session.outputMetadata,
    async run(feeds, outputs) {
      const tensors: Record<string, TypedTensor<"float32">> = {};
      for (const { name, type, data, dimensions } of feeds) {
        const tensor = new runtime.Tensor(type as "float32", data as Float32Array, dimensions);
        tensors[name] = tensor;
        // onnxruntime-node 1.30 makes a Float16Array of halves and then finds no bytes in it; as 16-bit integers it reads them.
        if (data instanceof Float16Array) {
          Object.assign(tensor, { cpuData: new Uint16Array(data.buffer, data.byteOffset, data.length) });
        }
      }
      const results = await session.run(tensors, outputs, quiet);
      return outputs.map((name) => {
        const { type, dims, data } = results[name] as TypedTensor<"float32">;
        return { name, type, dimensions: dims, data };
      });
    },
    release: () => session.release(),
  };
}
