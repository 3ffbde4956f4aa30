import { EspalierError } from "@espalier/core";
import type { InferenceSession, TypedTensor } from "onnxruntime-node";
import type { FeedType, TensorMetadata } from "./layout.ts";

/** The slice of onnxruntime that is used: names, shapes, and a run. */
export interface OnnxSession {
  inputs: readonly TensorMetadata[];
  outputs: readonly TensorMetadata[];
  run(feeds: Record<string, OnnxTensor>, outputs: readonly string[]): Promise<Record<string, OnnxTensor>>;
  tensor(type: FeedType, data: unknown, dimensions: readonly number[]): OnnxTensor;
  release(): Promise<void>;
}

interface OnnxTensor {
  readonly data: ArrayLike<number | bigint | string | boolean>;
  readonly dims: readonly number[];
  readonly type: string;
}

/**
 * Opens an ONNX file with one thread: `run` blocks the event loop, so further threads of one small model only steal from the server.
 * Errors: NOT_INSTALLED, INVALID_DATA (not an ONNX file, or an operator that the runtime lacks).
 */
export async function openOnnxSession(file: string): Promise<OnnxSession> {
  const runtime = await importRuntime();
  let session: InferenceSession;
  try {
    session = await runtime.InferenceSession.create(file, {
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      executionMode: "sequential",
      logSeverityLevel: 4,
    });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EspalierError("INVALID_DATA", `onnxruntime can not load the model: ${reason}`, {
      at: file,
      cause,
      hint: "The payload must be an ONNX file; pickles and other formats are never loaded.",
    });
  }
  return {
    inputs: session.inputMetadata,
    outputs: session.outputMetadata,
    run: (feeds, outputs) =>
      session.run(feeds as Record<string, TypedTensor<"float32">>, outputs, { logSeverityLevel: 4 }),
    tensor: (type, data, dimensions) =>
      new runtime.Tensor(type as "float32", data as Float32Array, dimensions) as unknown as OnnxTensor,
    release: () => session.release(),
  };
}

async function importRuntime() {
  try {
    return await import("onnxruntime-node");
  } catch (cause) {
    throw new EspalierError("NOT_INSTALLED", "onnxruntime-node can not be loaded", {
      cause,
      hint: "npm install onnxruntime-node@1.30.0 (Linux x64 and arm64, macOS arm64, Windows).",
    });
  }
}
