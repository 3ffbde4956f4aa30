import { type EndpointSpec, type ErrorCode, EspalierError, type Json, toEspalierError } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { RolloutRow } from "../db/queries/rollouts.ts";
import { decideRollout } from "../rollouts/decide-rollout.ts";
import type { RolloutAction, RolloutProgress } from "../rollouts/rollout-plan.ts";
import { exclusively } from "./exclusively.ts";
import { serveVersions } from "./serve.ts";

/** What a rollout needs to go on after a restart. */
export interface RolloutDetails {
  progress: RolloutProgress;
  /** Follows the version once it has all traffic. */
  alias: string | null;
  by: string;
  runId: string | null;
  /** Everything of the endpoint's spec but its versions. */
  base: EndpointSpec;
  /** Why the version could not be served, once that is known. */
  failure?: ErrorCode;
}

export function detailsOf(rollout: RolloutRow): RolloutDetails {
  return rollout.details as unknown as RolloutDetails;
}

/** Looks at every rollout under way, of one endpoint or of all, and does what is to be done. */
export async function advanceRollouts(plane: ControlPlane, endpoint?: string): Promise<void> {
  for (const rollout of await plane.record.rollouts.active()) {
    if (endpoint !== undefined && rollout.endpoint !== endpoint) continue;
    await exclusively(plane, rollout.endpoint, () => advanceRollout(plane, rollout.id));
  }
}

/** One look at one rollout; the caller sees to it that nobody else changes the endpoint meanwhile. */
export async function advanceRollout(plane: ControlPlane, id: string): Promise<RolloutRow> {
  const { record, stack } = plane;
  const rollout = await record.rollouts.get(id);
  if (rollout === undefined) throw new EspalierError("NOT_FOUND", `There is no rollout ${id}`);
  if (rollout.state !== "pending" && rollout.state !== "running") return rollout;
  const status = await stack.deployer.status(rollout.endpoint);
  return performAction(plane, rollout, decideRollout(detailsOf(rollout).progress, status, Date.now()));
}

/** The endpoint first, then the record: after a crash in between, the same look decides the same again. */
export async function performAction(
  plane: ControlPlane,
  rollout: RolloutRow,
  action: RolloutAction,
): Promise<RolloutRow> {
  const { record } = plane;
  const details = detailsOf(rollout);
  const { reason } = action;
  const saved = (progress: RolloutProgress): Json => JSON.parse(JSON.stringify({ ...details, progress })) as Json;
  if (action.kind === "wait") return record.rollouts.update(rollout.id, { details: saved(action.progress), reason });
  try {
    await serveVersions(plane, details.base, action.versions, { reason, by: details.by, runId: details.runId });
  } catch (error) {
    if (action.kind !== "apply") throw error;
    return giveUp(plane, rollout, error);
  }
  if (action.kind === "apply") {
    const { weight, progress } = action;
    return record.rollouts.update(rollout.id, { state: "running", weight, details: saved(progress), reason });
  }
  if (action.kind === "roll-back")
    return record.rollouts.update(rollout.id, { state: "rolled_back", weight: 0, reason });
  await moveAlias(plane, rollout, details);
  return record.rollouts.update(rollout.id, { state: "succeeded", weight: 1, reason });
}

/** A version that can not be served at all: what served before serves on. */
async function giveUp(plane: ControlPlane, rollout: RolloutRow, cause: unknown): Promise<RolloutRow> {
  const details = detailsOf(rollout);
  const { code, message } = toEspalierError(cause);
  const before = details.progress.before?.versions ?? [];
  const reason = `version ${rollout.toVersion} could not be served: ${message}`;
  if (before.length > 0) {
    await serveVersions(plane, details.base, before, { reason, by: details.by, runId: details.runId });
  }
  return plane.record.rollouts.update(rollout.id, {
    state: "failed",
    weight: 0,
    reason,
    details: JSON.parse(JSON.stringify({ ...details, failure: code })) as Json,
  });
}

async function moveAlias({ record }: ControlPlane, rollout: RolloutRow, { alias, by }: RolloutDetails): Promise<void> {
  if (alias === null) return;
  await record.aliases.set({
    name: rollout.model,
    alias,
    toVersion: Number(rollout.toVersion),
    changedBy: by,
    reason: `rollout ${rollout.id}`,
  });
}
