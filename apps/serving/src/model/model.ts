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
  /** How MLflow's server would write a Python model's outputs: a plain list, a list of records, lists by name. Absent: by their number. */
  form?: "values" | "records" | "columns";
  /** The text is JSON of what no tensor holds, such as lists of different lengths. */
  isJson?: boolean;
}

/** When a request waited and ran, in milliseconds of `performance.now()`. */
export interface RunTiming {
  queuedAt: number;
  startedAt: number;
  endedAt: number;
}

/** What a caller asks beside the rows. */
export interface ModelCall {
  /** Milliseconds since the epoch; what has not begun by then is not begun. */
  deadline?: number;
  /** Aborted when nobody waits for the answer any more. */
  signal?: AbortSignal;
  /** Parameters of the request, for models that take some (MLflow's `params`). */
  params?: Readonly<Record<string, unknown>>;
  /** Given by a caller that wants to know; filled before the answer. */
  timing?: Partial<RunTiming>;
}

/** A model that is ready, whatever runs it. Protocols know only this. */
export interface LoadedModel {
  signature: ModelSignature;
  /** V2's `platform`: onnxruntime_onnx, mlflow_pyfunc, ... */
  platform: string;
  /** Whether `ModelCall.params` mean anything to it; a request with params is refused otherwise. */
  takesParams?: boolean;
  /**
   * Outputs in the signature's order; every one has as many rows as the table. Errors: RATE_LIMITED (the queue is full), TIMEOUT (the
   * deadline passed in the queue), INVALID_INPUT (the model refuses these rows), UNAVAILABLE (what runs it is away).
   */
  predict(table: Table, call?: ModelCall): Promise<ModelOutput[]>;
  /**
   * Contributions of the columns to each row's score, one output a column under its name (with the classes as a dimension where there are
   * more than two), and what they are added to as `base_value`. Absent: this model can not explain. Errors: UNSUPPORTED saying what is
   * missing, and those of `predict`.
   */
  explain?(table: Table, call?: ModelCall): Promise<ModelOutput[]>;
  /**
   * MLflow's `/invocations` as it came (JSON or CSV), answered by MLflow's own parser. Only for models whose rows are no table of plain
   * values; those have no inputs in their signature. Errors: as `predict`.
   */
  invoke?(
    body: Buffer,
    contentType: string,
    call?: ModelCall,
  ): Promise<{ status: number; contentType: string; body: Buffer }>;
  /** False while what runs it is away. Absent: always true. */
  isReady?(): boolean;
  /** Requests that wait. */
  queueLength(): number;
  /** How long the oldest of them has waited; 0 when none does. */
  queueAgeMilliseconds?(): number;
  /** Requests that wait or run. */
  inFlight?(): number;
  /** Rows that one run takes at most in the server's own thread; larger requests run elsewhere. Absent: no thread is chosen. */
  inlineRows?: number;
  /** Ends it after what is in flight. */
  release(): Promise<void>;
}
