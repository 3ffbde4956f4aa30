import { EspalierError, type ServedVersion } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { RolloutRow } from "../db/queries/rollouts.ts";
import { applyDesired } from "../deployments/deploy.ts";
import { decideRollout } from "./decide-rollout.ts";
import { type RolloutDetails, storable } from "./rollout-details.ts";
import type { RolloutAction } from "./rollout-plan.ts";

/** Takes one look at each rollout under way, of one endpoint or of all. */
export async function advanceRollouts(plane: ControlPlane, endpoint?: string): Promise<void> {
  for (const rollout of await plane.record.rollouts.active()) {
    if (endpoint === undefined || rollout.endpoint === endpoint) await advanceRollout(plane, rollout);
  }
}

/** One look: the weight grows, stays, or goes back to what served before. */
export async function advanceRollout(plane: ControlPlane, rollout: RolloutRow): Promise<RolloutRow> {
  const { record, stack } = plane;
  const details = rollout.details as unknown as RolloutDetails;
  const status = await stack.deployer.status(rollout.endpoint);
  const action = decideRollout(details.progress, status, Date.now());
  if (action.kind === "wait") {
    const kept = storable({ ...details, progress: action.progress });
    return record.rollouts.update(rollout.id, { state: "running", reason: action.reason, details: kept });
  }
  await serve(plane, rollout, action.versions, action.reason);
  if (action.kind === "apply") {
    const kept = storable({ ...details, progress: action.progress });
    return record.rollouts.update(rollout.id, {
      state: "running",
      weight: action.weight,
      reason: action.reason,
      details: kept,
    });
  }
  if (action.kind === "succeed" && details.alias !== null) {
    await record.aliases.set({
      name: rollout.model,
      alias: details.alias,
      toVersion: Number(rollout.toVersion),
      changedBy: details.by,
      reason: action.reason,
    });
  }
  return record.rollouts.update(rollout.id, endOf(action));
}

function endOf(action: Extract<RolloutAction, { kind: "succeed" | "roll-back" }>): Partial<RolloutRow> {
  return action.kind === "succeed"
    ? { state: "succeeded", weight: 1, reason: action.reason }
    : { state: "rolled_back", weight: 0, reason: action.reason };
}

async function serve(
  plane: ControlPlane,
  rollout: RolloutRow,
  versions: readonly ServedVersion[],
  reason: string,
): Promise<void> {
  const current = await plane.record.endpoints.get(rollout.endpoint);
  if (current === undefined || current.deletedAt !== undefined) {
    await plane.record.rollouts.update(rollout.id, { state: "failed", reason: "the endpoint is gone" });
    throw new EspalierError("NOT_FOUND", `The endpoint ${rollout.endpoint} of a rollout is gone`);
  }
  const saved = await plane.record.endpoints.save({
    spec: { ...current.spec, versions: [...versions] },
    expectedGeneration: current.generation,
    reason,
    changedBy: "rollout",
  });
  await applyDesired(plane, saved);
}
