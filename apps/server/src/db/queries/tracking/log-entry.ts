import type { MetricPoint } from "../metrics.ts";
import type { KeyValue } from "./experiments.ts";

/** A point that may also say of which logged model and data set it speaks. */
export interface LoggedMetric extends MetricPoint {
  modelId?: string | undefined;
  datasetName?: string | undefined;
  datasetDigest?: string | undefined;
}

/** What one request logs to one run: all of it or nothing. Logging it again changes nothing. */
export interface LogEntry {
  runId: string;
  /** The only experiment the caller may write to. */
  within?: string | undefined;
  metrics: readonly LoggedMetric[];
  /** Of each key one. */
  params: readonly KeyValue[];
  /** Of one key the last counts. */
  tags: readonly KeyValue[];
}

export interface ChangedParam {
  key: string;
  stored: string;
  given: string;
}

export type LogOutcome =
  | { kind: "logged" }
  | { kind: "missing" }
  | { kind: "deleted" }
  | { kind: "foreign"; experimentId: string }
  | { kind: "params-differ"; params: ChangedParam[] };
