import { runStates } from "@espalier/core";
import type { Registry } from "prom-client";
import type { ControlPlane } from "../control-plane.ts";

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
  registries.set(plane, registry);
  return registry;
}
