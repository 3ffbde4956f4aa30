import { setTimeout as delay } from "node:timers/promises";
import type { ControlPlane } from "../control-plane.ts";
import { advanceRollouts } from "../deployments/rollout-steps.ts";
import { judgeAll } from "./plane-monitors.ts";

const lookMilliseconds = 5_000;
const judgeMilliseconds = 10 * 60_000;

/** Looks at rollouts and judges monitors by the real clock, until the control plane closes. A simulated endpoint has its own clock. */
export async function watchEndpoints(plane: ControlPlane): Promise<void> {
  const { closing, logger } = plane;
  let judgedAt = 0;
  for (;;) {
    await delay(lookMilliseconds, undefined, { signal: closing, ref: false }).catch(() => undefined);
    if (closing.aborted) return;
    try {
      const simulated = await simulatedEndpoints(plane);
      for (const { endpoint } of await plane.record.rollouts.active()) {
        if (!simulated.has(endpoint)) await advanceRollouts(plane, endpoint);
      }
      if (Date.now() - judgedAt < judgeMilliseconds) continue;
      judgedAt = Date.now();
      const endpoints = new Set(Object.values(plane.project.config.monitors ?? {}).map((monitor) => monitor.endpoint));
      for (const endpoint of endpoints) {
        if (!simulated.has(endpoint)) await judgeAll(plane, Date.now(), endpoint);
      }
    } catch (error) {
      logger.error({ err: error }, "watching endpoints");
    }
  }
}

async function simulatedEndpoints({ record }: ControlPlane): Promise<Set<string>> {
  const { items } = await record.simulations.list({ limit: 100 });
  return new Set(items.filter((simulation) => simulation.state === "running").map((simulation) => simulation.endpoint));
}
