import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Upstreams } from "./upstreams.ts";

const buckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export interface RouterMetrics {
  registry: Registry;
  observe(version: string, status: number, seconds: number): void;
  retry(version: string, reason: string): void;
}

/** Children of labels are made once, since each look-up by labels costs microseconds. */
export function createRouterMetrics(upstreams: Upstreams): RouterMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const requests = new Counter({
    name: "espalier_router_requests_total",
    help: "Prediction requests by version and HTTP status.",
    labelNames: ["version", "status"],
    registers,
  });
  const duration = new Histogram({
    name: "espalier_router_request_duration_seconds",
    help: "From the request's headers to its answer, by version.",
    labelNames: ["version"],
    buckets,
    registers,
  });
  const retries = new Counter({
    name: "espalier_router_retries_total",
    help: "Requests asked again: their connection broke, or a replica answered 503.",
    labelNames: ["version", "reason"],
    registers,
  });
  const perVersion = (name: string, help: string, measure: (pool: Upstreams["pools"][number]) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ["version"],
      registers,
      collect() {
        this.reset();
        for (const pool of upstreams.pools) this.set({ version: pool.target.version }, measure(pool));
      },
    });
  perVersion("espalier_router_queue_requests", "Requests that wait for a replica.", (pool) => pool.queued);
  perVersion("espalier_router_in_flight_requests", "Requests at replicas.", (pool) =>
    pool.replicas.reduce((sum, { inFlight }) => sum + inFlight, 0),
  );
  perVersion(
    "espalier_router_replicas_ready",
    "Replicas that answer.",
    (pool) => pool.replicas.filter(({ up }) => up).length,
  );
  for (const kind of ["mirrored", "failed", "dropped"] as const) {
    perVersion(
      `espalier_router_shadow_${kind}`,
      `Mirrored requests ${kind} since the process began.`,
      (pool) => pool.shadow?.[kind] ?? 0,
    );
  }
  const counters = new Map<string, Counter.Internal>();
  const histograms = new Map<string, Histogram.Internal<string>>();

  return {
    registry,
    observe(version, status, seconds) {
      const key = `${version} ${status}`;
      let counter = counters.get(key);
      if (counter === undefined) {
        counter = requests.labels(version, String(status));
        counters.set(key, counter);
      }
      counter.inc();
      let histogram = histograms.get(version);
      if (histogram === undefined) {
        histogram = duration.labels(version);
        histograms.set(version, histogram);
      }
      histogram.observe(seconds);
    },
    retry: (version, reason) => retries.inc({ version, reason }),
  };
}
