import { type EndpointSpec, type Json, type ServedVersion, strategyOf } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import { activeRollout, deploy } from "../deployments/deploy.ts";
import { exclusively } from "../deployments/exclusively.ts";
import { detailsOf } from "../deployments/rollout-steps.ts";
import { isSameVersion, noEndpoint, serveVersions, withBeside } from "../deployments/serve.ts";
import { requireContent } from "../models/version-content.ts";
import { requireVerdict } from "../steps/gate-verdict.ts";
import { declaredSettings } from "./declared-settings.ts";
import type { EndpointDifference } from "./endpoint-difference.ts";

type Wanted = Awaited<ReturnType<typeof declaredSettings>>;

/** Brings about what a difference says: a takeover by the declared strategy, or settings alone. Errors are those of `deploy`. */
export async function changeEndpoint(plane: ControlPlane, difference: EndpointDifference, by: string): Promise<void> {
  const { name, config, takeover, current } = difference;
  const wanted = await declaredSettings(plane, name, current?.spec);
  if (takeover === undefined) return changeSettings(plane, name, wanted, by);
  const version = await requireContent(plane, takeover.version);
  const gate = config.gate === undefined ? {} : { gate: config.gate };
  await requireVerdict(plane.record, version.digest, gate, `endpoints.${name}.model`);
  await deploy(plane, {
    endpoint: name,
    version,
    // The first version takes all traffic: there is none to share it with.
    strategy: current === undefined ? "all" : strategyOf(config.strategy ?? "all"),
    rollout: config.rollout,
    settings: wanted.settings,
    beside: wanted.beside,
    runtime: wanted.runtime ?? null,
    by,
  });
}

/** The same versions under other settings. A rollout under way goes on with them; when they can not be had, all stays as it was. */
function changeSettings(plane: ControlPlane, name: string, wanted: Wanted, by: string): Promise<void> {
  return exclusively(plane, name, async () => {
    const { record } = plane;
    const current = await record.endpoints.get(name);
    if (current === undefined || current.deletedAt !== undefined) throw noEndpoint(name);
    const { settings, beside } = wanted;
    const base: EndpointSpec = { ...settings, name, generation: current.generation, versions: [] };
    const rollout = await activeRollout(plane, name);
    const stays = (version: ServedVersion): boolean =>
      version.weight > 0 ||
      version.keepUntil !== undefined ||
      (rollout !== undefined && isSameVersion(version, { model: rollout.model, version: rollout.toVersion }));
    const versions = current.spec.versions.filter(stays).map((version) => withRuntime(version, wanted.runtime));
    const change = { reason: "declared settings", by, runId: null };
    try {
      await serveVersions(plane, base, withBeside(versions, beside), change);
    } catch (error) {
      await serveVersions(plane, { ...current.spec }, current.spec.versions, { ...change, reason: "as it was before" });
      throw error;
    }
    if (rollout === undefined) return;
    const details = { ...detailsOf(rollout), base, beside };
    await record.rollouts.update(rollout.id, { details: JSON.parse(JSON.stringify(details)) as Json });
  });
}

function withRuntime({ runtime: _, ...version }: ServedVersion, runtime: ServedVersion["runtime"]): ServedVersion {
  return runtime === undefined ? version : { ...version, runtime };
}
