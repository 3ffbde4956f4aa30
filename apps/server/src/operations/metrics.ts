import { runStates } from "@espalier/core";
import type { Gauge as GaugeOf, Registry } from "prom-client";
import type { ControlPlane } from "../control-plane.ts";
import { projectMonitors } from "../monitoring/plane-monitors.ts";

const reportStatuses = ["ok", "alert", "insufficient"] as const;
const registries = new WeakMap<ControlPlane, Registry>();

/** The control plane about itself, for Prometheus. The library is loaded when the first scraper comes. */
export async function renderMetrics(plane: ControlPlane): Promise<{ contentType: string; text: string }> {
  const registry = registries.get(plane) ?? (await makeRegistry(plane));
  return { contentType: registry.contentType, text: await registry.metrics() };
}

async function makeRegistry(plane: ControlPlane): Promise<Registry> {
  const { collectDefaultMetrics, Gauge, Registry } = await import("prom-client");
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: "espalier_active_runs",
    help: "Runs that have not ended, by state; at most 1000 are counted",
    labelNames: ["state"],
    registers: [registry],
    async collect() {
      for (const state of runStates.filter((one) => one === "queued" || one === "running")) {
        this.set({ state }, (await plane.record.runs.list({ state }, { limit: 1000 })).items.length);
      }
    },
  });
  measureMonitors(plane, registry, Gauge);
  registries.set(plane, registry);
  return registry;
}

/** What monitors last said, so that people who watch Prometheus hear of it there. */
function measureMonitors(plane: ControlPlane, registry: Registry, Gauge: typeof GaugeOf): void {
  const labelNames = ["monitor", "endpoint", "kind"];
  const windowEnd = new Gauge({
    name: "espalier_monitor_window_end_timestamp_seconds",
    help: "End of the newest window that the monitor judged",
    labelNames,
    registers: [registry],
  });
  new Gauge({
    name: "espalier_monitor_status",
    help: "1 for the status of the monitor's newest report, 0 for the others",
    labelNames: [...labelNames, "status"],
    registers: [registry],
    async collect() {
      this.reset();
      windowEnd.reset();
      for (const { name: monitor, endpoint, kind } of await projectMonitors(plane)) {
        const [last] = (await plane.record.monitors.reports(monitor, { limit: 1 })).items;
        if (last === undefined) continue;
        for (const status of reportStatuses) {
          this.set({ monitor, endpoint, kind, status }, last.status === status ? 1 : 0);
        }
        windowEnd.set({ monitor, endpoint, kind }, last.windowEnd / 1_000);
      }
    },
  });
}
