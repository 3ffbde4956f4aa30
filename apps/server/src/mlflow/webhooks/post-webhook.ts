import { createHmac } from "node:crypto";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { isIP } from "node:net";
import { addressOf } from "./public-address.ts";

export interface WebhookMessage {
  url: string;
  /** The same at each try, so that a receiver knows a repeated one. */
  deliveryId: string;
  /** JSON, signed and sent byte by byte. */
  body: string;
  secret?: string | undefined;
}

export interface WebhookAnswer {
  status: number;
  /** The first kilobytes. */
  body: string;
  /** Of Retry-After, when it is a number of seconds. */
  retryAfterSeconds?: number;
}

const webhookTimeoutMilliseconds = 30_000;
const mostAnswerBytes = 8 * 1024;

/** `v1,` and base64 of HMAC-SHA256 over `<delivery id>.<timestamp>.<body>`, as MLflow signs. */
export function signatureOf(secret: string, deliveryId: string, timestampSeconds: string, body: string): string {
  const hash = createHmac("sha256", secret).update(`${deliveryId}.${timestampSeconds}.${body}`);
  return `v1,${hash.digest("base64")}`;
}

/**
 * Sends one message to the very address that was checked, whatever the name stands for a moment later. Redirects are answers like others.
 * Throws RefusedAddress, or the error of the connection.
 */
export async function postWebhook(message: WebhookMessage, signal: AbortSignal): Promise<WebhookAnswer> {
  const url = new URL(message.url);
  const { address, family } = await addressOf(url);
  const timestamp = String(Math.floor(Date.now() / 1000));
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const content = Buffer.from(message.body);
  const isSecure = url.protocol === "https:";
  const send = isSecure ? httpsRequest : httpRequest;
  const request = send({
    host: address,
    family,
    port: url.port === "" ? (isSecure ? 443 : 80) : Number(url.port),
    // The certificate must be the name's, not the address's.
    ...(isSecure && isIP(host) === 0 ? { servername: host } : {}),
    agent: false,
    method: "POST",
    path: `${url.pathname}${url.search}`,
    headers: {
      host: url.host,
      "content-type": "application/json",
      "content-length": content.byteLength,
      "user-agent": "espalier-webhook",
      "x-mlflow-delivery-id": message.deliveryId,
      "x-mlflow-timestamp": timestamp,
      ...(message.secret === undefined
        ? {}
        : { "x-mlflow-signature": signatureOf(message.secret, message.deliveryId, timestamp, message.body) }),
    },
    signal: AbortSignal.any([signal, AbortSignal.timeout(webhookTimeoutMilliseconds)]),
  });
  const answered = Promise.withResolvers<IncomingMessage>();
  // A connection may fail more than once; an error that nobody listens to would end the process.
  request.once("response", answered.resolve).on("error", answered.reject).end(content);
  return readAnswer(await answered.promise);
}

async function readAnswer(response: IncomingMessage): Promise<WebhookAnswer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.byteLength;
    // An endless answer is no answer: leaving the loop closes the connection.
    if (size >= mostAnswerBytes) break;
  }
  const seconds = Number(response.headers["retry-after"] ?? Number.NaN);
  return {
    status: response.statusCode ?? 0,
    body: Buffer.concat(chunks).subarray(0, mostAnswerBytes).toString("utf8"),
    ...(Number.isFinite(seconds) && seconds >= 0 ? { retryAfterSeconds: seconds } : {}),
  };
}
