import type { Json, RunRow } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { NoticeRow } from "../db/queries/notices.ts";

const pollMilliseconds = 5_000;
const lastTryMilliseconds = 3_000;
const requestTimeoutMilliseconds = 10_000;
/** The waits double from 5 seconds: the last of 12 tries comes about five hours after the first. */
const mostTries = 12;
const firstRetrySeconds = 5;

/** Puts the notice of an ended run into the outbox; it is told once, however often this is called. */
export async function enqueueRunNotice(plane: ControlPlane, run: RunRow): Promise<void> {
  const { record, project } = plane;
  const { notify } = run.pipeline;
  if (notify === undefined || !(notify.on ?? ["failed"]).some((state) => state === run.state)) return;
  await record.notices.enqueue({
    id: `run:${run.id}:${run.state}`,
    kind: `run.${run.state}`,
    target: notify.webhook,
    payload: {
      specversion: "1.0",
      type: `dev.espalier.run.${run.state}`,
      source: `espalier:${project.name}`,
      id: `run:${run.id}:${run.state}`,
      time: new Date(run.finishedAt ?? Date.now()).toISOString(),
      datacontenttype: "application/json",
      data: {
        project: project.name,
        pipeline: run.pipeline.name,
        runId: run.id,
        state: run.state,
        trigger: run.trigger as unknown as Json,
        error: (run.error ?? null) as unknown as Json,
      },
    },
  });
  wakeNotices(plane);
}

/** Something may be due: it is sent now and not at the next look. */
export function wakeNotices(plane: ControlPlane): void {
  wakers.get(plane)?.();
}

const wakers = new WeakMap<ControlPlane, () => void>();

/** Sends what is due, again and again, until the control plane closes. */
export async function deliverNotices(plane: ControlPlane): Promise<void> {
  const { closing } = plane;
  while (!closing.aborted) {
    const woken = Promise.withResolvers<void>();
    wakers.set(plane, woken.resolve);
    await deliverDue(plane, closing);
    const timer = setTimeout(woken.resolve, pollMilliseconds).unref();
    const wake = (): void => woken.resolve();
    closing.addEventListener("abort", wake, { once: true });
    if (!closing.aborted) await woken.promise;
    closing.removeEventListener("abort", wake);
    clearTimeout(timer);
  }
}

/** The last try before a short-lived control plane is gone: what is not delivered waits for the next. */
export async function deliverBeforeClose(plane: ControlPlane): Promise<void> {
  await deliverDue(plane, AbortSignal.timeout(lastTryMilliseconds));
}

async function deliverDue(plane: ControlPlane, signal: AbortSignal): Promise<void> {
  try {
    for (const notice of await plane.record.notices.claim(20, 60)) await deliver(plane, notice, signal);
  } catch (error) {
    plane.logger.error({ err: error }, "notices could not be delivered");
  }
}

async function deliver({ record, stack, logger }: ControlPlane, notice: NoticeRow, signal: AbortSignal): Promise<void> {
  const retry = (error: string): Promise<void> => {
    const seconds = firstRetrySeconds * 2 ** Math.max(0, notice.tries - 1);
    return record.notices.failed(notice.id, error, notice.tries >= mostTries ? undefined : seconds);
  };
  const url = /^https?:\/\//.test(notice.target) ? notice.target : (await stack.secrets.get(notice.target))?.reveal();
  if (url === undefined || !URL.canParse(url)) return retry(`there is no secret ${notice.target}`);
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/cloudevents+json" },
      body: JSON.stringify(notice.payload),
      signal: AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutMilliseconds)]),
      redirect: "error",
    });
    await response.body?.cancel();
    if (response.ok) return record.notices.done(notice.id);
    await retry(`the webhook answered ${response.status}`);
  } catch (error) {
    // The address may be a secret: only the kind of failure is kept.
    logger.debug({ err: error, notice: notice.id }, "a webhook did not answer");
    await retry(`the webhook did not answer (${error instanceof Error ? error.name : "error"})`);
  }
}
