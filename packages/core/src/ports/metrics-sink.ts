export interface MetricSample {
  /** Prometheus name, unit as its suffix (`_seconds`, `_bytes`, `_total`). */
  name: string;
  labels: Readonly<Record<string, string>>;
  value: number;
  /** Milliseconds since the epoch. */
  timestamp: number;
}

/** Milestone 12, monitor: where operational samples go. Writing a sample twice is harmless. Errors: UNAVAILABLE, UNREACHABLE. */
export interface MetricsSink {
  write(samples: readonly MetricSample[]): Promise<void>;
  /** Samples of one name whose labels include these, from (inclusive) to (exclusive), by time. */
  query?(name: string, labels: Readonly<Record<string, string>>, from: number, to: number): Promise<MetricSample[]>;
}
