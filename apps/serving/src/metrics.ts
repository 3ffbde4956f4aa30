import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

/** From 0.5 ms to 10 s: below lies noise of the clock, above the caller has gone. */
const durationBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export interface ModelServerMetrics {
  registry: Registry;
  observeRequest(protocol: string, status: number, seconds: number, rows: number): void;
  observeBatch(rows: number): void;
}

/** Prometheus metrics of a model server. Children of labels are made once, since each look-up by labels costs microseconds. */
export function createModelServerMetrics(
  model: { name: string; version: string },
  gauges: { queue(): number; capture(): { captured: number; dropped: number } },
): ModelServerMetrics {
  const registry = new Registry();
  registry.setDefaultLabels({ model: model.name, version: model.version });
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const requests = new Counter({
    name: "espalier_serving_requests_total",
    help: "Prediction requests by protocol and HTTP status.",
    labelNames: ["protocol", "status"],
    registers,
  });
  const rows = new Counter({ name: "espalier_serving_rows_total", help: "Rows predicted.", registers });
  const duration = new Histogram({
    name: "espalier_serving_request_duration_seconds",
    help: "From the request's headers to its answer.",
    buckets: durationBuckets,
    registers,
  });
  const batchRows = new Histogram({
    name: "espalier_serving_batch_rows",
    help: "Rows that shared one run of the model.",
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 8192],
    registers,
  });
  new Gauge({
    name: "espalier_serving_queue_requests",
    help: "Requests that wait for the model.",
    registers,
    collect() {
      this.set(gauges.queue());
    },
  });
  for (const kind of ["captured", "dropped"] as const) {
    new Gauge({
      name: `espalier_serving_capture_${kind}_rows`,
      help: `Rows ${kind} by payload capture since the process began.`,
      registers,
      collect() {
        this.set(gauges.capture()[kind]);
      },
    });
  }
  const children = new Map<string, Counter.Internal>();
  return {
    registry,
    observeBatch: (count) => batchRows.observe(count),
    observeRequest(protocol, status, seconds, count) {
      const key = `${protocol} ${status}`;
      let child = children.get(key);
      if (child === undefined) {
        child = requests.labels(protocol, String(status));
        children.set(key, child);
      }
      child.inc();
      duration.observe(seconds);
      if (count > 0) rows.inc(count);
    },
  };
}
