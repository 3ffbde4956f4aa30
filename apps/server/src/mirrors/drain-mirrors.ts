import { setTimeout as pause } from "node:timers/promises";
import { toEspalierError } from "@espalier/core";
import type { MirrorComponent, OpenStack } from "@espalier/host";
import type { ControlPlane } from "../control-plane.ts";
import type { MirrorNames } from "../db/mirror-changes.ts";
import type { OutboxRow } from "../db/queries/mirrors.ts";
import { createArtifactFolders } from "../mlflow/artifacts/folders.ts";
import { refuseItself } from "../transfer/refuse-itself.ts";
import { deliverRegistry } from "./deliver-registry.ts";
import { deliverLineage, deliverTraces } from "./deliver-runs.ts";
import { deliverTracking } from "./deliver-tracking.ts";
import { mirrorName, mirrorsOf } from "./mirror-status.ts";

const changesAtOnce = 50;
const pollMilliseconds = 500;
/** How long a control plane has a mirror for itself; longer than a batch, or a file, takes. */
const leaseSeconds = 600;
const firstRetrySeconds = 1;
const mostRetrySeconds = 300;

/** The mirrors of a stack, before anything changes. */
export function mirrorNamesOf(plane: Pick<ControlPlane, "project">, stack: OpenStack): MirrorNames {
  const components = mirrorsOf(plane.project.stacks[stack.name]);
  const names = (...some: MirrorComponent[]): string[] =>
    some.flatMap((component) => (components.includes(component) ? [mirrorName(stack.name, component)] : []));
  return { tracking: names("tracking"), registry: names("registry"), runs: names("lineage", "traces") };
}

/** Tells each mirror of the stack what is new, in order and at least once, until the control plane closes. */
export function drainMirrors(plane: ControlPlane): Promise<void>[] {
  return mirrorsOf(plane.project.stacks[plane.stack.name]).map((component) => drain(plane, component));
}

async function drain(plane: ControlPlane, component: MirrorComponent): Promise<void> {
  const { record, closing, logger } = plane;
  const mirror = mirrorName(plane.stack.name, component);
  const deliver = deliverer(plane, component, mirror);
  // Whoever starts again may have mended the address or the credentials.
  await record.mirrors
    .retryNow(mirror)
    .catch((error: unknown) => logger.error({ err: error, mirror }, "a mirror goes on waiting"));
  while (!closing.aborted) {
    let told = 0;
    try {
      told = await drainOnce(plane, mirror, deliver);
    } catch (error) {
      // The record itself did not answer: nothing is known, and nothing is lost.
      if (!closing.aborted) logger.error({ err: error, mirror }, "a mirror could not be told");
    }
    if (told > 0) continue;
    await pause(pollMilliseconds, undefined, { signal: closing, ref: false }).catch(() => undefined);
  }
  // Another control plane of this project need not wait for what this one held.
  await record.mirrors
    .release(mirror)
    .catch((error: unknown) => logger.error({ err: error, mirror }, "releasing a mirror"));
}

/** How many changes were told. */
async function drainOnce(
  { record, closing, logger }: ControlPlane,
  mirror: string,
  deliver: (rows: readonly OutboxRow[]) => Promise<void>,
): Promise<number> {
  const first = await record.mirrors.next(mirror, 1);
  if (first.length === 0 || !(await record.mirrors.claim(mirror, leaseSeconds))) return 0;
  const rows = await record.mirrors.next(mirror, changesAtOnce);
  const last = rows.at(-1);
  if (last === undefined) return 0;
  try {
    await deliver(rows);
  } catch (thrown) {
    if (closing.aborted) return 0;
    const error = toEspalierError(thrown);
    const { tries } = await record.mirrors.status(mirror);
    const wait = Math.min(mostRetrySeconds, firstRetrySeconds * 2 ** Math.min(tries, 20));
    await record.mirrors.failed(mirror, `${error.code}: ${error.message}`.slice(0, 1000), wait);
    logger.warn({ mirror, code: error.code, retryInSeconds: wait }, `a mirror is behind: ${error.message}`);
    return 0;
  }
  await record.mirrors.delivered(mirror, last.number);
  return rows.length;
}

function deliverer(
  plane: ControlPlane,
  component: MirrorComponent,
  mirror: string,
): (rows: readonly OutboxRow[]) => Promise<void> {
  const { record, stack, closing: signal, logger } = plane;
  const refused = (what: string, error?: unknown): void =>
    logger.warn(
      { mirror, ...(error === undefined ? {} : { reason: toEspalierError(error).message }) },
      `not mirrored: ${what}`,
    );
  const shared = { record, mirror, signal, refused, folders: createArtifactFolders(plane) };
  const told = { record, project: plane.project.name, signal, refused };
  const toldWhole = new Map<string, number>();
  const address = plane.project.stacks[stack.name]?.[component]?.with?.["tracking_uri"];
  return async (rows) => {
    if (typeof address === "string") await refuseItself(plane, address);
    // Asked for each time: a tool that could not be opened says why, and that is the mirror's error.
    if (component === "tracking") {
      const { tracking } = stack;
      if (tracking !== undefined) await deliverTracking({ ...shared, tracker: tracking, toldWhole }, rows);
    } else if (component === "registry") {
      const { registry } = stack;
      if (registry !== undefined) await deliverRegistry({ ...shared, registry }, rows);
    } else if (component === "lineage") {
      const { lineage } = stack;
      if (lineage !== undefined) await deliverLineage({ ...told, lineage }, rows);
    } else {
      const { traces } = stack;
      if (traces !== undefined) await deliverTraces({ ...told, traces }, rows);
    }
  };
}
