import type { Digest } from "../canonical-json.ts";
import type { CustomRuntime, RoutingRule, ServingLimits, ShadowCounts } from "../model/serving-state.ts";

/** One version of a model behind an endpoint. */
export interface ServedVersion {
  /** Registered version number, as text. */
  version: string;
  model: string;
  digest: Digest;
  /** Where the embedded deployer finds the materialised model folder; other tools get it from the artifact store. */
  path: string;
  /** Share of traffic, 0 to 1; the weights of an endpoint sum to 1. */
  weight: number;
  /**
   * Share of the endpoint's requests that are asked of this version too, 0 to 1, its answers compared and thrown away. Only for a version
   * without weight. Absent: none.
   */
  mirror?: number;
  /** The `python` of the model's environment on this machine, for a model that only Python can run. */
  python?: string;
  /** A program of the user's instead of our model server. Absent: ours. */
  runtime?: CustomRuntime;
  /** Kept loaded without traffic until this moment (milliseconds since the epoch), so that going back to it takes no start. */
  keepUntil?: number;
}

/** Settings of the capture beside its rate: what is not written as it is, and in which other forms it is written. */
export interface CaptureSettings {
  /** Never written; the column stays, empty. */
  drop?: readonly string[];
  /** A keyed hash is written: equal values stay equal, and none can be read. */
  hash?: readonly string[];
  /** true: only the score of the outputs is kept. */
  scoreOnly?: boolean;
  /** Address of a sink that gets the captures as KServe's inference logger sends them. */
  cloudEventsUrl?: string;
  /** true: SageMaker's data capture is written too, beside the endpoint's own. */
  sagemaker?: boolean;
}

/** How our model server runs a version; what is left out has the server's own default. */
export interface ServerSettings {
  /** Rows that one run takes together. */
  maxBatchRows?: number;
  /** Worker threads of a heavy ONNX model. */
  onnxThreads?: number;
  /** Of a model that only Python can run: processes, what one request may take, and the memory of one process. */
  pythonWorkers?: number;
  pythonTimeoutSeconds?: number;
  pythonMemoryBytes?: number;
}

/** Desired state of one endpoint. Applying it again changes nothing. */
export interface EndpointSpec {
  name: string;
  /** Grows with every change; a deployer ignores a generation older than the one it has. */
  generation: number;
  versions: ServedVersion[];
  /** Share of requests whose inputs and outputs are captured, 0 to 1. */
  captureRate: number;
  capture?: CaptureSettings;
  server?: ServerSettings;
  /** Loopback port of the router; 0 lets the deployer choose. */
  port: number;
  /** Processes of each version. Absent: 1. */
  replicas?: number;
  /** The first rule that fits a request decides its version, before the weights. */
  rules?: readonly RoutingRule[];
  /** Request header that holds the sticky key. Absent: `x-espalier-key`. */
  stickyHeader?: string;
  limits?: ServingLimits;
}

export interface VersionStatus {
  version: string;
  /** Two models may have one version number. Absent: the tool does not tell, and the number decides. */
  model?: string;
  ready: boolean;
  message?: string;
  /** Counted since the version began to serve. */
  requests: number;
  errors: number;
  /** Requests by duration, in the buckets of `durationBounds`; absent where the tool does not tell. */
  durations?: number[];
  /** Processes that answer, and that should. Absent: the tool does not count them. */
  replicas?: { ready: number; wanted: number };
  /** What was seen of mirrored requests; absent for a version that is no shadow. */
  shadow?: ShadowCounts;
}

export interface EndpointStatus {
  name: string;
  generation: number;
  url: string;
  ready: boolean;
  versions: VersionStatus[];
}

/**
 * Milestone 11, deploy and serve: makes desired state real and reports what is. Rollback is applying an older spec.
 * Errors: SIGNATURE_MISMATCH, INVALID_INPUT (weights), PORT_IN_USE, UNAVAILABLE. All idempotent.
 */
export interface Deployer {
  /** Resolves once every version with a weight is ready and the weights are in force; never shifts weight before readiness. */
  apply(spec: EndpointSpec): Promise<EndpointStatus>;
  status(name: string): Promise<EndpointStatus | undefined>;
  delete(name: string): Promise<void>;
  /** Local folder of an endpoint's captured segments and their Parquet files. Absent: this tool captures elsewhere. */
  captureDirectory?(name: string): string;
  /** Everything captured so far lies in closed segments afterwards. */
  flushCapture?(name: string): Promise<void>;
}
