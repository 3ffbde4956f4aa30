import type { ControlPlane } from "./control-plane.ts";
import { deliverNotices } from "./notices/notices.ts";
import { catchUp, fire, syncSchedules } from "./schedules/schedules.ts";

/** What goes on beside requests and runs. Returns how to stop it. */
export async function startLoops(plane: ControlPlane): Promise<() => Promise<void>> {
  const { stack, logger } = plane;
  const running: Promise<unknown>[] = [deliverNotices(plane)];
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
