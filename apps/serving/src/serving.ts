import type { ModelServerMetrics } from "./metrics.ts";
import type { RequestLogging } from "./observe-answer.ts";
import type { PredictContext } from "./predict.ts";
import type { Tracing } from "./tracing/tracing.ts";

/** Who may load and unload models while the server runs, and where their folders lie. */
export interface ModelControl {
  /** Loads a model by its name (all its versions), or loads it again. Errors: NOT_FOUND, and those of loading. */
  load(name: string): Promise<void>;
  /** Errors: NOT_FOUND. */
  unload(name: string): Promise<void>;
}

/** What every transport of one model server shares. */
export interface Serving extends PredictContext {
  metrics: ModelServerMetrics;
  bodyLimitBytes: number;
  /** Rows that one run of a model takes together. */
  maxBatchRows: number;
  /** Whether a load balancer should send requests: the models that the server began with are loaded, and it does not drain. */
  isReady(): boolean;
  isDraining(): boolean;
  /** Absent: models can not be loaded and unloaded from outside. */
  control?: ModelControl;
  /** Absent: nobody collects spans. */
  tracing?: Tracing | undefined;
  /** Absent: problems are logged. */
  logging?: RequestLogging | undefined;
}
