import { setTimeout as delay } from "node:timers/promises";
import type { ControlPlane } from "../control-plane.ts";
import { dropKeptVersions } from "../deployments/kept-versions.ts";
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
      await lookAtRollouts(plane, simulated);
      await dropKeptVersions(plane, Date.now());
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

/** One endpoint whose server can not be asked must not keep the rollouts of all others from going on. */
async function lookAtRollouts(plane: ControlPlane, simulated: ReadonlySet<string>): Promise<void> {
  for (const { id, endpoint } of await plane.record.rollouts.active()) {
    if (simulated.has(endpoint) || plane.closing.aborted) continue;
    try {
      await advanceRollouts(plane, endpoint, { spare: true });
    } catch (error) {
      if (!plane.closing.aborted)
        plane.logger.warn({ err: error, rollout: id }, `looking at the rollout of ${endpoint}`);
    }
  }
}

/** Endpoints that a simulation drives now. */
export async function simulatedEndpoints({ record }: ControlPlane): Promise<Set<string>> {
  const { items } = await record.simulations.list({ limit: 100 });
  return new Set(items.filter((simulation) => simulation.state === "running").map((simulation) => simulation.endpoint));
}
