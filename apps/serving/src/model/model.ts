import type { ModelSignature } from "@espalier/core";
import type { Table } from "./table.ts";

/** One output of a run, row-major. */
export interface ModelOutput {
  name: string;
  /** Element type in ONNX's words: float32, float64, int64, int32, bool, string, ... */
  type: string;
  /** Dimensions after the rows. */
  tail: readonly number[];
  data: ArrayLike<number | bigint | string | boolean>;
}

/** What a caller asks beside the rows. */
export interface ModelCall {
  /** Milliseconds since the epoch; what has not begun by then is not begun. */
  deadline?: number;
  /** Aborted when nobody waits for the answer any more. */
  signal?: AbortSignal;
  /** Parameters of the request, for models that take some (MLflow's `params`). */
  params?: Readonly<Record<string, unknown>>;
}

/** A model that is ready, whatever runs it. Protocols know only this. */
export interface LoadedModel {
  signature: ModelSignature;
  /** V2's `platform`: onnxruntime_onnx, mlflow_pyfunc, ... */
  platform: string;
  /**
   * Outputs in the signature's order; every one has as many rows as the table. Errors: RATE_LIMITED (the queue is full), TIMEOUT (the
   * deadline passed in the queue), INVALID_INPUT (the model refuses these rows), UNAVAILABLE (what runs it is away).
   */
  predict(table: Table, call?: ModelCall): Promise<ModelOutput[]>;
  /** Contributions of the columns to each row's score, one output a column set. Absent: this model can not explain. */
  explain?(table: Table, call?: ModelCall): Promise<ModelOutput[]>;
  /** Requests that wait. */
  queueLength(): number;
  /** Ends it after what is in flight. */
  release(): Promise<void>;
}
