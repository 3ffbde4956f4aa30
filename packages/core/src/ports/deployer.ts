import type { Digest } from "../canonical-json.ts";

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
}

/** Desired state of one endpoint. Applying it again changes nothing. */
export interface EndpointSpec {
  name: string;
  /** Grows with every change; a deployer ignores a generation older than the one it has. */
  generation: number;
  versions: ServedVersion[];
  /** Share of requests whose inputs and outputs are captured, 0 to 1. */
  captureRate: number;
  /** Loopback port of the router; 0 lets the deployer choose. */
  port: number;
}

export interface VersionStatus {
  version: string;
  ready: boolean;
  message?: string;
  /** Counted since the version began to serve. */
  requests: number;
  errors: number;
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
