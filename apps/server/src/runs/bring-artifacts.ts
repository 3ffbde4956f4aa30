import {
  type ArtifactRef,
  type Copied,
  canonicalJson,
  copyArtifact,
  isEspalierError,
  type RunRow,
} from "@espalier/core";
import { openStack, type Project } from "@espalier/host";
import type { ControlPlane } from "../control-plane.ts";

/** true: both stacks keep their artifacts in one store. */
export function sameStore(project: Project, one: string, other: string): boolean {
  const storeOf = (name: string): string => canonicalJson(project.stacks[name]?.artifacts ?? {});
  return storeOf(one) === storeOf(other);
}

/**
 * What a run read and made so far, brought by digest from the store of its stack into the one that is open; what is there already is not
 * sent again. Undefined: it is the same store. A stack that the project no longer has can not be read from: NOT_FOUND then names what is missing
 * when a step needs it.
 */
export async function bringArtifacts(plane: ControlPlane, run: RunRow): Promise<Copied | undefined> {
  const { project, stack, record } = plane;
  if (project.stacks[run.stack] === undefined || sameStore(project, run.stack, stack.name)) return undefined;
  const refs = new Map<string, ArtifactRef>();
  const add = (ref: ArtifactRef | null): void => {
    if (ref !== null) refs.set(`${ref.type} ${ref.digest}`, ref);
  };
  for (const ref of [...Object.values(run.resolved), ...Object.values(run.snapshots)]) add(ref);
  const needed = refs.size;
  for (const { state, outputs } of await record.engine.steps(run.id)) {
    if (state === "succeeded" || state === "cached") for (const ref of Object.values(outputs ?? {})) add(ref);
  }
  const former = await openStack(project, run.stack);
  const sum: Copied = { objects: 0, bytes: 0 };
  try {
    for (const [index, ref] of [...refs.values()].entries()) {
      try {
        const { objects, bytes } = await copyArtifact(former.artifactStore, stack.artifactStore, ref);
        sum.objects += objects;
        sum.bytes += bytes;
      } catch (error) {
        // An output that was swept meanwhile is made anew: without it its step is no cache hit.
        if (index < needed || !isEspalierError(error) || error.code !== "NOT_FOUND") throw error;
        plane.logger.warn({ runId: run.id, digest: ref.digest }, `not brought: ${error.message}`);
      }
    }
  } finally {
    await former.close();
  }
  plane.logger.info({ runId: run.id, from: run.stack, to: stack.name, ...sum }, "artifacts brought to another store");
  return sum;
}
