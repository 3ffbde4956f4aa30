import { EspalierError, isEspalierError } from "@espalier/core";
import type { ControlPlane } from "../../control-plane.ts";
import type { NoticeRow } from "../../db/queries/notices.ts";
import type { WebhookRow } from "../../db/queries/registry/webhooks.ts";
import { postWebhook, type WebhookAnswer } from "./post-webhook.ts";
import { RefusedAddress } from "./public-address.ts";

/** One try and three repetitions, as MLflow's server has it; the waits double from a second. */
const mostTries = 4;
const longestWaitSeconds = 60;

const isPassing = (status: number): boolean => status === 429 || status >= 500;

export type Delivery =
  | { kind: "done" }
  | { kind: "failed"; error: string }
  | { kind: "again"; error: string; inSeconds: number };

/** Sends a notice of the registry to its webhook. The notice's id is the delivery's. */
export async function deliverToWebhook(plane: ControlPlane, notice: NoticeRow, signal: AbortSignal): Promise<Delivery> {
  const webhook = await plane.record.registry.webhooks.get(notice.target);
  if (webhook === undefined) return { kind: "failed", error: "the webhook was deleted" };
  if (webhook.status !== "ACTIVE") return { kind: "failed", error: "the webhook was disabled" };
  const again = (error: string, afterSeconds = 0): Delivery => {
    if (notice.tries >= mostTries) return { kind: "failed", error };
    const wait = Math.max(2 ** Math.max(0, notice.tries - 1), afterSeconds);
    return { kind: "again", error, inSeconds: Math.min(wait, longestWaitSeconds) };
  };
  try {
    const answer = await send(plane, webhook, notice.id, JSON.stringify(notice.payload), signal);
    if (answer.status >= 200 && answer.status < 300) return { kind: "done" };
    const error = `the webhook answered ${answer.status}`;
    return isPassing(answer.status) ? again(error, answer.retryAfterSeconds) : { kind: "failed", error };
  } catch (error) {
    if (error instanceof RefusedAddress) {
      if (error.isPassing) return again(error.message);
      plane.logger.warn({ webhook: webhook.id, reason: error.message }, "a webhook was refused");
      return { kind: "failed", error: error.message };
    }
    if (isEspalierError(error) && !error.retryable) return { kind: "failed", error: error.message };
    // Addresses may hold secrets: only the kind of failure is kept.
    plane.logger.debug({ err: error, webhook: webhook.id }, "a webhook did not answer");
    return again(`the webhook did not answer (${kindOf(error)})`);
  }
}

/** With the webhook's secret, which lies in the stack's store. */
export async function send(
  { stack }: Pick<ControlPlane, "stack">,
  webhook: WebhookRow,
  deliveryId: string,
  body: string,
  signal: AbortSignal,
): Promise<WebhookAnswer> {
  const secret = webhook.secretName === undefined ? undefined : await stack.secrets.get(webhook.secretName);
  if (webhook.secretName !== undefined && secret === undefined) {
    throw new EspalierError("NOT_FOUND", `The secret that signs its messages is gone: ${webhook.secretName}`);
  }
  return postWebhook({ url: webhook.url, deliveryId, body, secret: secret?.reveal() }, signal);
}

export function kindOf(error: unknown): string {
  if (!(error instanceof Error)) return "error";
  return "code" in error && typeof error.code === "string" ? error.code : error.name;
}
