import { type EndpointStatus, EspalierError, ulid } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { EndpointRow } from "../db/queries/endpoints.ts";
import type { RolloutRow } from "../db/queries/rollouts.ts";
import type { HeldVersion } from "../models/version-content.ts";
import { beginRollout } from "../rollouts/decide-rollout.ts";
import { rollbackSpec } from "../rollouts/rollback-spec.ts";
import { rolloutPlan } from "../rollouts/rollout-plan.ts";
import { exclusively } from "./exclusively.ts";
import { advanceRollout, detailsOf, performAction, type RolloutDetails } from "./rollout-steps.ts";
import { applyDesired, noEndpoint, servedVersion } from "./serve.ts";

export interface DeployRequest {
  endpoint: string;
  version: HeldVersion;
  strategy: "direct" | "canary";
  /** First share of a canary. */
  weight?: number | undefined;
  captureRate?: number | undefined;
  /** Alias that follows the version once it has all traffic. */
  alias?: string | undefined;
  by: string;
  runId?: string;
}

export interface DeployResult {
  endpoint: EndpointRow;
  rollout?: RolloutRow;
  unchanged: boolean;
}

/** Makes a version the one that an endpoint serves, at once or by a canary. Idempotent: what is served already is `unchanged`. */
export function deploy(plane: ControlPlane, request: DeployRequest): Promise<DeployResult> {
  return exclusively(plane, request.endpoint, () => deployAlone(plane, request));
}

async function deployAlone(plane: ControlPlane, request: DeployRequest): Promise<DeployResult> {
  const { record } = plane;
  const found = await record.endpoints.get(request.endpoint);
  const current = found?.deletedAt === undefined ? found : undefined;
  const rollout = await activeRollout(plane, request.endpoint);
  const version = String(request.version.version);
  if (current !== undefined) {
    const serving = current.spec.versions.find((one) => one.model === request.version.name && one.version === version);
    const isUnderWay = rollout?.model === request.version.name && rollout.toVersion === version;
    const isSettled = rollout === undefined && serving?.weight === 1;
    const captures = request.captureRate === undefined || request.captureRate === current.spec.captureRate;
    if ((isUnderWay || isSettled) && captures) {
      return { endpoint: await applyDesired(plane, current), ...(rollout ? { rollout } : {}), unchanged: true };
    }
  }
  let before = current?.spec;
  if (rollout !== undefined) {
    const reason = `superseded by ${request.version.name} version ${version}`;
    before = detailsOf(rollout).progress.before ?? before;
    await record.rollouts.update(rollout.id, { state: "rolled_back", weight: 0, reason });
  }
  return startRollout(plane, request, { found, before });
}

async function startRollout(
  plane: ControlPlane,
  request: DeployRequest,
  { found, before }: { found: EndpointRow | undefined; before: EndpointRow["spec"] | undefined },
): Promise<DeployResult> {
  const { record, project, stack } = plane;
  const settings = project.config.endpoints?.[request.endpoint];
  const candidate = { ...(await servedVersion(plane, request.version)), weight: 0 };
  const status: EndpointStatus | undefined = before && (await stack.deployer.status(request.endpoint));
  const plan = rolloutPlan(request.strategy, request.weight === undefined ? {} : { firstWeight: request.weight });
  const first = beginRollout(plan, before, candidate, status, Date.now());
  if (first.kind !== "apply") throw new EspalierError("INTERNAL", "A rollout begins with a change");
  const details: RolloutDetails = {
    progress: first.progress,
    alias: request.alias ?? null,
    by: request.by,
    runId: request.runId ?? null,
    base: {
      name: request.endpoint,
      generation: found?.generation ?? 0,
      versions: [],
      captureRate: request.captureRate ?? settings?.capture_rate ?? before?.captureRate ?? 1,
      port: settings?.port ?? before?.port ?? 0,
    },
  };
  const stable = before?.versions.reduce((best, one) => (one.weight > best.weight ? one : best)).version;
  const rollout = await record.rollouts.start({
    id: ulid(),
    endpoint: request.endpoint,
    model: request.version.name,
    toVersion: candidate.version,
    strategy: first.progress.plan.strategy === "direct" ? "direct" : "canary",
    weight: first.weight,
    details: JSON.parse(JSON.stringify(details)),
    ...(stable === undefined ? {} : { fromVersion: stable }),
  });
  await performAction(plane, rollout, first);
  // One with nothing to wait for ends at once.
  const now = await advanceRollout(plane, rollout.id);
  const endpoint = await record.endpoints.get(request.endpoint);
  if (endpoint === undefined) throw noEndpoint(request.endpoint);
  if (now.state === "rolled_back" || now.state === "failed") {
    throw new EspalierError(
      detailsOf(now).failure ?? "UNAVAILABLE",
      `${request.version.name} version ${candidate.version} does not serve: ${now.reason ?? now.state}`,
      {
        at: `endpoints.${request.endpoint}`,
        hint: `${before === undefined ? "Nothing is served." : "What was served before is served again."} A version is never changed: register a model that can be served.`,
      },
    );
  }
  return { endpoint, rollout: now, unchanged: false };
}

/** What was served before the last rollout, or before the one under way, which ends by that. */
export function rollback(
  plane: ControlPlane,
  name: string,
  by: string,
  reason: string | undefined,
): Promise<DeployResult> {
  return exclusively(plane, name, async () => {
    const { record } = plane;
    const endpoint = await record.endpoints.get(name);
    if (endpoint === undefined || endpoint.deletedAt !== undefined) throw noEndpoint(name);
    const why = reason ?? `rolled back by ${by}`;
    const active = await activeRollout(plane, name);
    if (active !== undefined) {
      const before = detailsOf(active).progress.before;
      if (before !== undefined) {
        const rollout = await performAction(plane, active, {
          kind: "roll-back",
          versions: before.versions,
          reason: why,
        });
        return { endpoint: (await record.endpoints.get(name)) ?? endpoint, rollout, unchanged: false };
      }
    }
    const history = (await record.endpoints.history(name, { limit: 1000 })).items.map((one) => one.spec);
    const spec = rollbackSpec(endpoint.spec, history);
    const saved = await record.endpoints.save({
      spec,
      expectedGeneration: endpoint.generation,
      reason: why,
      changedBy: by,
    });
    const applied = await applyDesired(plane, saved);
    await followAlias(plane, spec.versions[0], by);
    return { endpoint: applied, unchanged: false };
  });
}

/** The champion is what serves: after a rollback the alias goes back too. */
async function followAlias(
  { record }: ControlPlane,
  version: { model: string; version: string } | undefined,
  by: string,
): Promise<void> {
  if (version === undefined) return;
  const champion = await record.models.version(version.model, "@champion");
  if (champion === undefined || String(champion.version) === version.version) return;
  await record.aliases.set({
    name: version.model,
    alias: "champion",
    toVersion: Number(version.version),
    changedBy: by,
    reason: "rolled back",
  });
}

async function activeRollout({ record }: ControlPlane, endpoint: string): Promise<RolloutRow | undefined> {
  return (await record.rollouts.active()).find((one) => one.endpoint === endpoint);
}
