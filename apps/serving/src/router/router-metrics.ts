import { Counter, collectDefaultMetrics, Histogram, Registry } from "prom-client";

const buckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export interface RouterMetrics {
  registry: Registry;
  observe(version: string, status: number, seconds: number): void;
  /** Seconds, by linear interpolation inside the bucket; absent without requests. */
  quantile(version: string, share: number): number | undefined;
}

export function createRouterMetrics(): RouterMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const requests = new Counter({
    name: "espalier_router_requests_total",
    help: "Prediction requests by version and HTTP status.",
    labelNames: ["version", "status"],
    registers: [registry],
  });
  const duration = new Histogram({
    name: "espalier_router_request_duration_seconds",
    help: "From the request's headers to its answer, by version.",
    labelNames: ["version"],
    buckets,
    registers: [registry],
  });
  const counters = new Map<string, Counter.Internal>();
  const histograms = new Map<string, { child: Histogram.Internal<string>; counts: number[]; total: number }>();

  function histogramOf(version: string) {
    let entry = histograms.get(version);
    if (entry === undefined) {
      entry = { child: duration.labels(version), counts: new Array<number>(buckets.length + 1).fill(0), total: 0 };
      histograms.set(version, entry);
    }
    return entry;
  }

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
      const entry = histogramOf(version);
      entry.child.observe(seconds);
      const index = buckets.findIndex((bound) => seconds <= bound);
      const at = index === -1 ? buckets.length : index;
      entry.counts[at] = (entry.counts[at] ?? 0) + 1;
      entry.total++;
    },
    quantile(version, share) {
      const entry = histograms.get(version);
      if (entry === undefined || entry.total === 0) return undefined;
      const rank = share * entry.total;
      let below = 0;
      for (const [index, count] of entry.counts.entries()) {
        const lower = index === 0 ? 0 : (buckets[index - 1] ?? 0);
        const upper = buckets[index] ?? lower;
        if (below + count >= rank) return count === 0 ? upper : lower + ((upper - lower) * (rank - below)) / count;
        below += count;
      }
      return buckets.at(-1);
    },
  };
}
