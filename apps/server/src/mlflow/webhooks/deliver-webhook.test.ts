import { createHmac } from "node:crypto";
import { Secret } from "@espalier/core";
import { pino } from "pino";
import { beforeAll, expect, test } from "vitest";
import type { ControlPlane } from "../../control-plane.ts";
import type { WebhookRow } from "../../db/queries/registry/webhooks.ts";
import { deliverToWebhook } from "./deliver-webhook.ts";
import { signatureOf } from "./post-webhook.ts";
import { loopbackVariable } from "./public-address.ts";
import { startReceiver } from "./testing/receiver.ts";

beforeAll(() => {
  process.env[loopbackVariable] = "1";
});

const notice = {
  id: "0b5c1f9e-6d1c-4f43-9a55-6b6f0a2c7d11",
  kind: "webhook.model_version.created",
  target: "w",
  payload: { entity: "model_version", action: "created", data: { name: "é" } },
  state: "pending",
  tries: 1,
  createdAt: 1,
} as const;

/** As much of a control plane as a delivery asks for. */
function planeWith(webhook: Partial<WebhookRow> | undefined, secret?: string): ControlPlane {
  const row = webhook && { id: "w", name: "w", events: [], status: "ACTIVE", createdAt: 1, updatedAt: 1, ...webhook };
  return {
    record: { registry: { webhooks: { get: async () => row } } },
    stack: { secrets: { get: async () => (secret === undefined ? undefined : new Secret(secret)) } },
    logger: pino({ level: "silent" }),
  } as unknown as ControlPlane;
}

const deliver = (plane: ControlPlane, tries = 1) =>
  deliverToWebhook(plane, { ...notice, tries }, AbortSignal.timeout(20_000));

test("signs as MLflow's own server does", () => {
  const body = '{"entity":"model_version","name":"é"}';
  // Recorded from MLflow 3.17.2.
  expect(signatureOf("s3cret", notice.id, "1760000000", body)).toBe("v1,e2wyC5jJ/HqzZqGBf8SI5JpCFbwkSJZiocmZurKd7AQ=");
});

test("a message goes over TLS to the name's own certificate, signed over what was sent", async () => {
  const receiver = await startReceiver({ secure: true });
  expect(await deliver(planeWith({ url: receiver.url, secretName: "s" }, "s3cret"))).toEqual({ kind: "done" });
  const [{ path, headers, body } = { path: "", headers: {}, body: "" }] = receiver.received;
  expect(path).toBe("/hook?token=t");
  expect(JSON.parse(body)).toEqual(notice.payload);
  expect(headers).toMatchObject({
    host: `localhost:${receiver.port}`,
    "content-type": "application/json",
    "x-mlflow-delivery-id": notice.id,
  });
  const timestamp = headers["x-mlflow-timestamp"];
  const expected = createHmac("sha256", "s3cret").update(`${notice.id}.${timestamp}.${body}`).digest("base64");
  expect(headers["x-mlflow-signature"]).toBe(`v1,${expected}`);
  expect(Math.abs(Number(timestamp) - Date.now() / 1000)).toBeLessThan(600);
});

test("a certificate that is another's is no receiver", async () => {
  const receiver = await startReceiver({ secure: true });
  const url = receiver.url.replace("localhost", "[::ffff:127.0.0.1]");
  expect(await deliver(planeWith({ url }))).toMatchObject({ kind: "again" });
  expect(receiver.received).toEqual([]);
});

test("without a secret there is no signature; with one that is gone nothing is sent", async () => {
  const receiver = await startReceiver();
  expect(await deliver(planeWith({ url: receiver.url }))).toEqual({ kind: "done" });
  expect(receiver.received[0]?.headers["x-mlflow-signature"]).toBeUndefined();
  expect(await deliver(planeWith({ url: receiver.url, secretName: "gone" }))).toMatchObject({ kind: "failed" });
  expect(receiver.received).toHaveLength(1);
});

test("what passes is tried four times, longer and longer apart; what does not, once", async () => {
  const receiver = await startReceiver();
  const plane = planeWith({ url: receiver.url });
  for (const status of [429, 500, 503]) {
    for (const [tries, inSeconds] of [
      [1, 1],
      [2, 2],
      [3, 4],
    ] as const) {
      receiver.answers.push(status);
      expect(await deliver(plane, tries)).toEqual({
        kind: "again",
        error: `the webhook answered ${status}`,
        inSeconds,
      });
    }
    receiver.answers.push(status);
    expect(await deliver(plane, 4)).toEqual({ kind: "failed", error: `the webhook answered ${status}` });
  }
  // A redirect could lead anywhere: it is not followed.
  for (const status of [302, 400, 404]) {
    receiver.answers.push(status);
    expect(await deliver(plane)).toEqual({ kind: "failed", error: `the webhook answered ${status}` });
  }
  expect(receiver.received.some(({ path }) => path === "/elsewhere")).toBe(false);
  await receiver.close();
  expect(await deliver(plane)).toEqual({ kind: "again", error: expect.stringContaining("ECONN"), inSeconds: 1 });
});

test("a webhook that is gone, disabled or leads into the network gets nothing", async () => {
  expect(await deliver(planeWith(undefined))).toMatchObject({ kind: "failed" });
  expect(await deliver(planeWith({ url: "https://8.8.8.8/", status: "DISABLED" }))).toMatchObject({ kind: "failed" });
  expect(await deliver(planeWith({ url: "https://169.254.169.254/latest" }))).toMatchObject({
    kind: "failed",
    error: expect.stringContaining("non-public"),
  });
  expect(await deliver(planeWith({ url: "https://name.invalid/" }))).toMatchObject({ kind: "again" });
});
