import type { ControlPlane } from "../control-plane.ts";
import { rollbackSpec } from "../rollouts/rollback-spec.ts";
import { activeRollout, type DeployResult } from "./deploy.ts";
import { exclusively } from "./exclusively.ts";
import { detailsOf, performAction } from "./rollout-steps.ts";
import { applyDesired, noEndpoint } from "./serve.ts";

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
      const { progress } = detailsOf(active);
      if (progress.before !== undefined) {
        const { versions } = progress.before;
        const rollout = await performAction(plane, active, { kind: "roll-back", versions, progress, reason: why });
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
    await followAlias(
      plane,
      spec.versions.find(({ weight }) => weight > 0),
      by,
    );
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
