import type { GcReport } from "@espalier/contract";
import { type ArtifactRef, claimStore, EspalierError, type GcPlan, planGc, sweepGc } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";

const shownKeys = 20;

export async function previewGc(plane: ControlPlane): Promise<GcReport> {
  const { plan } = await makePlan(plane);
  return reportOf(plan, { swept: 0, deleted: 0 });
}

export async function sweep(plane: ControlPlane): Promise<GcReport> {
  await refuseWhileRunning(plane, "Sweep");
  const { plan, options } = await makePlan(plane);
  return reportOf(plan, await sweepGc(plane.stack.artifactStore, plan, options));
}

/** What a step has published is not on record before the step's end: a sweep in between would take it. */
export async function refuseWhileRunning({ record }: ControlPlane, what: "Sweep" | "Repair"): Promise<void> {
  for (const state of ["queued", "running"] as const) {
    const [run] = (await record.runs.list({ state }, { limit: 1 })).items;
    if (run === undefined) continue;
    throw new EspalierError("CONFLICT", `Run ${run.id} is ${state}; its outputs are not all on record yet`, {
      hint: `${what} when no run is active; \`espalier cancel\` ends one.`,
    });
  }
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
