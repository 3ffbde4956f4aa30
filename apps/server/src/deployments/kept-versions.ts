import type { ControlPlane } from "../control-plane.ts";
import { exclusively } from "./exclusively.ts";
import { serveVersions } from "./serve.ts";

/** Stops versions that were kept loaded for a rollback and whose time is over. `now` in milliseconds since the epoch. */
export async function dropKeptVersions(plane: ControlPlane, now: number): Promise<void> {
  const { record, closing } = plane;
  const isOver = ({ keepUntil }: { keepUntil?: number }) => keepUntil !== undefined && keepUntil <= now;
  const { items } = await record.endpoints.list({ limit: 1000 });
  // Only those are waited for: a change of another endpoint may be long under way.
  for (const { name } of items.filter(({ spec }) => spec.versions.some(isOver))) {
    await exclusively(plane, name, async () => {
      const endpoint = await record.endpoints.get(name);
      if (endpoint === undefined || endpoint.deletedAt !== undefined || closing.aborted) return;
      const over = endpoint.spec.versions.filter(isOver);
      // A rollout moves the versions itself.
      if (over.length === 0 || (await record.rollouts.active()).some((one) => one.endpoint === name)) return;
      const versions = endpoint.spec.versions.filter((version) => !isOver(version));
      const reason = `version ${over.map(({ version }) => version).join(", ")} is no longer kept for a rollback`;
      await serveVersions(plane, endpoint.spec, versions, { reason, by: "espalier", runId: null });
    });
  }
}
