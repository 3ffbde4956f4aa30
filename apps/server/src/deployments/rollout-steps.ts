import {
  type EndpointSpec,
  type ErrorCode,
  EspalierError,
  type Json,
  type ServedVersion,
  toEspalierError,
} from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { RolloutRow } from "../db/queries/rollouts.ts";
import { beginRollout, decideRollout } from "../rollouts/decide-rollout.ts";
import type { RolloutAction, RolloutProgress } from "../rollouts/rollout-plan.ts";
import { exclusively } from "./exclusively.ts";
import { gatherEvidence } from "./gather-evidence.ts";
import { serveVersions, withBeside } from "./serve.ts";

/** What a rollout needs to go on after a restart. */
export interface RolloutDetails {
  progress: RolloutProgress;
  /** Follows the version once it has all traffic. */
  alias: string | null;
  by: string;
  runId: string | null;
  /** Everything of the endpoint's spec but its versions. */
  base: EndpointSpec;
  /** Versions that the rollout does not move. */
  beside: ServedVersion[];
  /** Why the version could not be served, once that is known. */
  failure?: ErrorCode;
}

export function detailsOf(rollout: RolloutRow): RolloutDetails {
  return rollout.details as unknown as RolloutDetails;
}

export interface LookOptions {
  /** A loop that looks every few seconds: what costs a scan of the capture is not looked for each time. */
  spare?: boolean;
}

/** Looks at every rollout under way, of one endpoint or of all, and does what is to be done. */
export async function advanceRollouts(
  plane: ControlPlane,
  endpoint?: string,
  options: LookOptions = {},
): Promise<void> {
  for (const rollout of await plane.record.rollouts.active()) {
    if (endpoint !== undefined && rollout.endpoint !== endpoint) continue;
    await exclusively(plane, rollout.endpoint, () => advanceRollout(plane, rollout.id, options));
  }
}

/** One look at one rollout; the caller sees to it that nobody else changes the endpoint meanwhile. */
export async function advanceRollout(
  plane: ControlPlane,
  id: string,
  { spare = false }: LookOptions = {},
): Promise<RolloutRow> {
  const { record, stack } = plane;
  const rollout = await record.rollouts.get(id);
  if (rollout === undefined) throw new EspalierError("NOT_FOUND", `There is no rollout ${id}`);
  if (rollout.state !== "pending" && rollout.state !== "running") return rollout;
  const status = await stack.deployer.status(rollout.endpoint);
  const { progress } = detailsOf(rollout);
  if (rollout.state === "pending") {
    // Its process was killed before the first change was in force: it begins now.
    const { plan, before, candidate } = progress;
    return performAction(plane, rollout, beginRollout(plan, before, candidate, status, Date.now()));
  }
  const evidence = isTooSoon(rollout, progress, spare)
    ? {}
    : await gatherEvidence(plane, rollout.endpoint, progress, status);
  return performAction(plane, rollout, decideRollout(progress, status, Date.now(), evidence));
}

const scanMilliseconds = 60_000;
const scannedAt = new Map<string, number>();

/** A step that waits for labels waits long. */
function isTooSoon({ id }: RolloutRow, { plan, step }: RolloutProgress, spare: boolean): boolean {
  if (!spare || plan.metric === null) return false;
  const key = `${id}/${step}`;
  if (Date.now() - (scannedAt.get(key) ?? 0) < scanMilliseconds) return true;
  scannedAt.clear();
  scannedAt.set(key, Date.now());
  return false;
}

/** The endpoint first, then the record: after a crash in between, the same look decides the same again. */
export async function performAction(
  plane: ControlPlane,
  rollout: RolloutRow,
  action: RolloutAction,
): Promise<RolloutRow> {
  const { record } = plane;
  const details = detailsOf(rollout);
  const { reason, progress } = action;
  const patch = { details: JSON.parse(JSON.stringify({ ...details, progress })) as Json, reason };
  if (action.kind === "wait") return record.rollouts.update(rollout.id, patch);
  try {
    await serve(plane, details, action.versions, reason);
  } catch (error) {
    if (action.kind !== "apply") throw error;
    return giveUp(plane, rollout, error);
  }
  if (action.kind === "apply") {
    return record.rollouts.update(rollout.id, { ...patch, state: "running", weight: action.weight });
  }
  if (action.kind === "roll-back") {
    return record.rollouts.update(rollout.id, { ...patch, state: "rolled_back", weight: 0 });
  }
  if (action.promoted) await moveAlias(plane, rollout, details);
  return record.rollouts.update(rollout.id, { ...patch, state: "succeeded", weight: action.promoted ? 1 : 0 });
}

function serve(
  plane: ControlPlane,
  { base, beside, by, runId }: RolloutDetails,
  versions: readonly ServedVersion[],
  reason: string,
) {
  return serveVersions(plane, base, withBeside(versions, beside), { reason, by, runId });
}

/** A version that can not be served at all: what served before serves on; of an endpoint that never served, only its history stays. */
async function giveUp(plane: ControlPlane, rollout: RolloutRow, cause: unknown): Promise<RolloutRow> {
  const { record, stack } = plane;
  const details = detailsOf(rollout);
  const { code, message } = toEspalierError(cause);
  const before = details.progress.before?.versions ?? [];
  const reason = `version ${rollout.toVersion} could not be served: ${message}`;
  if (before.length > 0) await serve(plane, details, before, reason);
  else {
    await stack.deployer.delete(rollout.endpoint);
    const endpoint = await record.endpoints.get(rollout.endpoint);
    if (endpoint?.deletedAt === undefined) {
      await record.endpoints.delete(rollout.endpoint, { reason, changedBy: details.by });
    }
  }
  return record.rollouts.update(rollout.id, {
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
