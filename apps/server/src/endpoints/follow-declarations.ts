import type { ControlPlane } from "../control-plane.ts";
import { simulatedEndpoints } from "../monitoring/watch-endpoints.ts";
import { reconcile } from "./reconcile.ts";

const lookMilliseconds = 2_000;

interface Waker {
  wake(): void;
  /** An alias moved, and nobody has looked since. */
  isDue: boolean;
}

const wakers = new WeakMap<ControlPlane, Waker>();

/** A declared endpoint may have something to follow: it is looked at now and not at the next look. */
export function wakeDeclarations(plane: ControlPlane): void {
  const waker = wakers.get(plane);
  if (waker === undefined) return;
  waker.isDue = true;
  waker.wake();
}

/**
 * Keeps declared endpoints at what they declare, until the control plane closes: an alias that moves, a model that appears, a gate that lets
 * a version through, a failure that may pass. What an alias asked for before the end is still begun.
 */
export async function followDeclarations(plane: ControlPlane): Promise<void> {
  const { closing } = plane;
  const waker: Waker = { wake: () => undefined, isDue: false };
  wakers.set(plane, waker);
  for (;;) {
    const woken = Promise.withResolvers<void>();
    waker.wake = woken.resolve;
    waker.isDue = false;
    await lookAtAll(plane);
    if (waker.isDue) continue;
    if (closing.aborted) return;
    const timer = setTimeout(woken.resolve, lookMilliseconds).unref();
    closing.addEventListener("abort", waker.wake, { once: true });
    await woken.promise;
    closing.removeEventListener("abort", waker.wake);
    clearTimeout(timer);
    if (closing.aborted && !waker.isDue) return;
  }
}

async function lookAtAll(plane: ControlPlane): Promise<void> {
  try {
    const rows = await plane.record.declarations.all();
    if (rows.length === 0) return;
    // Those have a clock of their own.
    const simulated = await simulatedEndpoints(plane);
    for (const { name } of rows) {
      if (!simulated.has(name)) await reconcile(plane, name, { insist: false, by: "declaration" });
    }
  } catch (error) {
    plane.logger.error({ err: error }, "following declared endpoints");
  }
}
