import type { GcReport } from "@espalier/contract";
import { type ArtifactRef, claimStore, type GcPlan, planGc, sweepGc } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";

const shownKeys = 20;

export async function previewGc(plane: ControlPlane): Promise<GcReport> {
  const { plan } = await makePlan(plane);
  return reportOf(plan, { swept: 0, deleted: 0 });
}

export async function sweep(plane: ControlPlane): Promise<GcReport> {
  const { plan, options } = await makePlan(plane);
  return reportOf(plan, await sweepGc(plane.stack.artifactStore, plan, options));
}

async function makePlan(plane: ControlPlane): Promise<{ plan: GcPlan; options: { database: string; now: number } }> {
  const { record, stack } = plane;
  const database = await record.settings.databaseId();
  await claimStore(stack.artifactStore, database);
  const options = { database, now: Date.now() };
  return { plan: await planGc(stack.artifactStore, roots(plane), options), options };
}

/** Everything on record, and what runs that go on have pinned. */
async function* roots({ record }: ControlPlane): AsyncGenerator<ArtifactRef, void, void> {
  yield* record.references.artifacts();
}

function reportOf(plan: GcPlan, done: { swept: number; deleted: number }): GcReport {
  const swept = done.swept > 0 ? plan.bytes : 0;
  return {
    unreferenced: { blobs: plan.objects.length, bytes: plan.bytes },
    quarantined: { blobs: done.swept, bytes: swept },
    deleted: { blobs: done.deleted, bytes: 0 },
    examples: plan.objects.slice(0, shownKeys).map((object) => object.key),
  };
}
