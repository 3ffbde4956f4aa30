import { setTimeout as delay } from "node:timers/promises";
import type { ControlPlane } from "./control-plane.ts";
import { exclusively } from "./deployments/exclusively.ts";
import { applyDesired } from "./deployments/serve.ts";
import { applyEndpoints } from "./endpoints/apply-endpoints.ts";
import { followDeclarations } from "./endpoints/follow-declarations.ts";
import { drainMirrors } from "./mirrors/drain-mirrors.ts";
import { watchEndpoints } from "./monitoring/watch-endpoints.ts";
import { deliverNotices } from "./notices/notices.ts";
import { catchUp, fire, syncSchedules } from "./schedules/schedules.ts";

export interface LoopOptions {
  /** This control plane was asked for as such, by `espalier up`: what espalier.yaml declares is what it brings about. */
  appliesFile: boolean;
  /** Endpoints, schedules and mirrors are left as they are. */
  looksOnly: boolean;
}

/** What goes on beside requests and runs. Returns how to stop it. */
export async function startLoops(plane: ControlPlane, options: LoopOptions): Promise<() => Promise<void>> {
  if (options.looksOnly) return async () => undefined;
  const { stack, logger } = plane;
  const running: Promise<unknown>[] = [
    deliverNotices(plane),
    ...drainMirrors(plane),
    ...endpointLoops(plane, options),
    repeat(plane, "forgetting old runs", 3_600_000, () => forgetOldRuns(plane)),
    repeat(plane, "forgetting uploads that nobody completed", 3_600_000, () => forgetUploads(plane)),
    repeat(plane, "removing the folders of old attempts", 3_600_000, () => plane.staging.cleanUp()),
  ];
  let stopScheduler: (() => Promise<void>) | undefined;
  try {
    await syncSchedules(plane);
    stopScheduler = stack.scheduler.start?.((id, due) => fire(plane, id, due));
    running.push(
      catchUp(plane, new Date()).catch((error: unknown) => logger.error({ err: error }, "catching up schedules")),
    );
  } catch (error) {
    // A schedule that makes no sense must not keep everything else from running; `doctor` and `schedule list` show it.
    logger.error({ err: error }, "schedules do not run");
  }
  return async () => {
    await stopScheduler?.();
    await Promise.allSettled(running);
  };
}

function endpointLoops(plane: ControlPlane, { appliesFile }: LoopOptions): Promise<void>[] {
  const apply = async (): Promise<void> => {
    const applied = await applyEndpoints(plane, { by: "up", insist: false });
    for (const { name, outcome, reason } of applied) {
      if (outcome === "left") plane.logger.warn({ endpoint: name }, `the endpoint ${name} is ${reason}`);
    }
  };
  return [
    watchEndpoints(plane),
    repeat(plane, "reviving endpoints", undefined, () => reviveEndpoints(plane)),
    (appliesFile ? repeat(plane, "applying declared endpoints", undefined, apply) : Promise.resolve()).then(() =>
      followDeclarations(plane),
    ),
  ];
}

/** Once now, then after each interval until the control plane closes; without an interval only once. */
async function repeat(
  { closing, logger }: ControlPlane,
  doing: string,
  intervalMilliseconds: number | undefined,
  work: () => Promise<unknown>,
): Promise<void> {
  while (!closing.aborted) {
    try {
      await work();
    } catch (error) {
      if (!closing.aborted) logger.error({ err: error }, `fault while ${doing}`);
    }
    if (intervalMilliseconds === undefined) return;
    try {
      await delay(intervalMilliseconds, undefined, { signal: closing, ref: false });
    } catch {
      return;
    }
  }
}

/** After a restart of the machine nothing serves: what should, is started again. */
async function reviveEndpoints(plane: ControlPlane): Promise<void> {
  const endpoints = (await plane.record.endpoints.list({ limit: 1000 })).items;
  for (const { name } of endpoints) {
    await exclusively(plane, name, async () => {
      const endpoint = await plane.record.endpoints.get(name);
      if (endpoint === undefined || endpoint.deletedAt !== undefined || plane.closing.aborted) return;
      const status = await plane.stack.deployer.status(name);
      if (status?.ready !== true) await applyDesired(plane, endpoint);
    });
  }
}

/** A day after its beginning nobody comes back to an upload in parts; what came of it is then `gc`'s. */
async function forgetUploads({ record }: ControlPlane): Promise<void> {
  await record.fileUploads.forget(Date.now() - 86_400_000);
}

/** Runs that nothing refers to are forgotten after a year; their artifacts are then `gc`'s. */
async function forgetOldRuns({ record }: ControlPlane): Promise<void> {
  await record.retention.forget(Date.now() - 365 * 86_400_000);
}
