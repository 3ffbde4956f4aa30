import type { Json, RunRow } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { NoticeRow } from "../db/queries/notices.ts";
import { webhookNoticePrefix } from "../db/queries/registry/registry-events.ts";
import { deliverToWebhook } from "../mlflow/webhooks/deliver-webhook.ts";

const pollMilliseconds = 5_000;
const lastTryMilliseconds = 3_000;
const requestTimeoutMilliseconds = 10_000;
const noticesAtOnce = 20;
/** Longer than any delivery may take, so that none is sent twice while it is under way. */
const leaseSeconds = 60;
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
  const underWay = new Set<Promise<void>>();
  while (!closing.aborted) {
    const woken = Promise.withResolvers<void>();
    wakers.set(plane, woken.resolve);
    // Nobody waits for one that does not answer for half a minute: others are claimed as places become free.
    const due = await claimDue(plane, noticesAtOnce - underWay.size);
    const isMore = due.length > 0 && underWay.size + due.length === noticesAtOnce;
    for (const notice of due) {
      const delivery = deliverOne(plane, notice, closing).finally(() => {
        underWay.delete(delivery);
        if (isMore) wakeNotices(plane);
      });
      underWay.add(delivery);
    }
    const timer = setTimeout(woken.resolve, pollMilliseconds).unref();
    const wake = (): void => woken.resolve();
    closing.addEventListener("abort", wake, { once: true });
    if (!closing.aborted) await woken.promise;
    closing.removeEventListener("abort", wake);
    clearTimeout(timer);
  }
  await Promise.all(underWay);
}

/** The last try before a short-lived control plane is gone: what is not delivered waits for the next. */
export async function deliverBeforeClose(plane: ControlPlane): Promise<void> {
  const signal = AbortSignal.timeout(lastTryMilliseconds);
  await Promise.all((await claimDue(plane, noticesAtOnce)).map((notice) => deliverOne(plane, notice, signal)));
}

async function claimDue(plane: ControlPlane, limit: number): Promise<NoticeRow[]> {
  if (limit === 0) return [];
  try {
    return await plane.record.notices.claim(limit, leaseSeconds);
  } catch (error) {
    plane.logger.error({ err: error }, "notices could not be looked up");
    return [];
  }
}

/** Never throws: what can not be put on record is due again when its lease has run out. */
async function deliverOne(plane: ControlPlane, notice: NoticeRow, signal: AbortSignal): Promise<void> {
  try {
    if (notice.kind.startsWith(webhookNoticePrefix)) await deliverEvent(plane, notice, signal);
    else await deliver(plane, notice, signal);
  } catch (error) {
    plane.logger.error({ err: error, notice: notice.id }, "a notice could not be delivered");
  }
}

async function deliverEvent(plane: ControlPlane, notice: NoticeRow, signal: AbortSignal): Promise<void> {
  const { record } = plane;
  const delivery = await deliverToWebhook(plane, notice, signal);
  if (delivery.kind === "done") return record.notices.done(notice.id);
  await record.notices.failed(notice.id, delivery.error, delivery.kind === "again" ? delivery.inSeconds : undefined);
  if (delivery.kind === "again") setTimeout(() => wakeNotices(plane), delivery.inSeconds * 1000).unref();
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
