import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { startPostgres } from "../../../../../scripts/servers/postgres.ts";
import { createNoticeQueries } from "../../db/queries/notices.ts";
import { createRegistryQueries } from "../../db/queries/registry/registry.ts";
import { describeOnBoth } from "../../db/testing/databases.ts";
import { makeProject, startForTest } from "../../testing/control-plane.ts";
import { type RawFace, startRawFace } from "../testing/raw-face.ts";
import { loopbackVariable } from "../webhooks/public-address.ts";
import { type Receiver, startReceiver } from "../webhooks/testing/receiver.ts";

const api = "/api/2.0/mlflow";
const created = { entity: "REGISTERED_MODEL", action: "CREATED" };

beforeEach(() => {
  process.env[loopbackVariable] = "1";
});
afterEach(() => {
  delete process.env[loopbackVariable];
});

const asOwner = (face: Pick<RawFace, "token">) => ({ authorization: `Bearer ${face.token}` });

async function hook(face: RawFace, fields: Record<string, unknown>): Promise<string> {
  const made = await face.call("POST", `${api}/webhooks`, { name: "w", events: [created], ...fields }, asOwner(face));
  expect(made.status).toBe(200);
  return made.body.webhook.webhook_id;
}

async function bodies(receiver: Receiver, count: number): Promise<unknown[]> {
  await vi.waitUntil(() => receiver.received.length >= count, { timeout: 20_000 });
  return receiver.received.map(({ body }) => JSON.parse(body));
}

describeOnBoth("webhooks", await startPostgres(), (database) => {
  test("are made, listed, changed, tested and deleted; their secret is never told", async () => {
    const face = await startRawFace(database);
    const receiver = await startReceiver();
    const secret = "do-not-tell";
    const id = await hook(face, { url: receiver.url, description: "d", secret, events: [created, created] });
    const shown = await face.call("GET", `${api}/webhooks/${id}`, undefined, asOwner(face));
    expect(shown.body).toEqual({
      webhook: {
        webhook_id: id,
        name: "w",
        url: receiver.url,
        description: "d",
        events: [created],
        status: "ACTIVE",
        creation_timestamp: expect.any(Number),
        last_updated_timestamp: expect.any(Number),
      },
    });
    const other = await hook(face, { url: receiver.url });
    const first = await face.call("GET", `${api}/webhooks?max_results=1`, undefined, asOwner(face));
    const token = encodeURIComponent(first.body.next_page_token);
    const rest = await face.call("GET", `${api}/webhooks?max_results=1&page_token=${token}`, undefined, asOwner(face));
    expect(rest.body.next_page_token).toBeUndefined();
    const listed = [...first.body.webhooks, ...rest.body.webhooks].map((one: { webhook_id: string }) => one.webhook_id);
    expect(listed.toSorted()).toEqual([id, other].toSorted());
    const event = { entity: "PROMPT_VERSION_TAG", action: "SET" };
    const tested = await face.call("POST", `${api}/webhooks/${id}/test`, { event }, asOwner(face));
    expect(tested.body).toEqual({ result: { success: true, response_status: 200, response_body: "answer 200" } });
    expect(JSON.parse(receiver.received[0]?.body ?? "")).toEqual({
      entity: "prompt_version_tag",
      action: "set",
      timestamp: expect.any(String),
      data: { name: "example_prompt", version: "1", key: "example_key", value: "example_value" },
    });
    expect(receiver.received[0]?.headers["x-mlflow-signature"]).toMatch(/^v1,/);
    const change = { status: "DISABLED", description: "", events: [event] };
    const changed = await face.call("PATCH", `${api}/webhooks/${id}`, change, asOwner(face));
    expect(changed.body.webhook).toMatchObject({ status: "DISABLED", events: [event] });
    expect(changed.body.webhook.description).toBeUndefined();
    const audit = await face.call("GET", "/api/v1/audit", undefined, asOwner(face));
    expect(audit.body.items.map((row: { action: string }) => row.action)).toContain("mlflow.webhooks");
    expect(JSON.stringify([audit.body, changed.body, shown.body, first.body])).not.toContain(secret);
    const held = await face.call("GET", "/api/v1/secrets", undefined, asOwner(face));
    expect(held.body.items).toEqual([{ name: `mlflow_webhook_${id.replaceAll("-", "_")}` }]);
    expect((await face.call("DELETE", `${api}/webhooks/${id}`, {}, asOwner(face))).status).toBe(200);
    expect((await face.call("GET", "/api/v1/secrets", undefined, asOwner(face))).body.items).toEqual([]);
    expect(await face.call("DELETE", `${api}/webhooks/${id}`, {}, asOwner(face))).toEqual({
      status: 404,
      body: { error_code: "RESOURCE_DOES_NOT_EXIST", message: `Webhook with ID ${id} not found.` },
    });
  });

  test("need a role: neither a process without a token nor a viewer may make or see one", async () => {
    const face = await startRawFace(database);
    const body = { name: "w", url: "https://8.8.8.8/", events: [created] };
    const viewer = await face.call("POST", "/api/v1/tokens", { name: "v", role: "viewer" }, asOwner(face));
    for (const headers of [{}, { authorization: `Bearer ${viewer.body.token}` }]) {
      for (const [method, path, sent] of [
        ["POST", `${api}/webhooks`, body],
        ["GET", `${api}/webhooks`, undefined],
        ["GET", `${api}/webhooks/x`, undefined],
        ["DELETE", `${api}/webhooks/x`, {}],
        ["POST", `${api}/webhooks/x/test`, {}],
      ] as const) {
        const refused = await face.call(method, path, sent, headers);
        expect([method, path, refused.status, refused.body.error_code]).toEqual([
          method,
          path,
          403,
          "PERMISSION_DENIED",
        ]);
      }
    }
  });

  test("refuse names, events and addresses that are none (CVE-2026-2393)", async () => {
    delete process.env[loopbackVariable];
    const face = await startRawFace(database);
    const good = { name: "w", url: "https://8.8.8.8/", events: [created] };
    for (const change of [
      { name: "-w" },
      { name: "w w" },
      { name: "w".repeat(64) },
      { name: undefined },
      { events: [] },
      { events: [{ entity: "REGISTERED_MODEL", action: "SET" }] },
      { events: [{ entity: "NOPE", action: "SET" }] },
      { status: "BAD" },
      { url: "http://8.8.8.8/" },
      { url: "ftp://8.8.8.8/" },
      { url: "https://user:password@8.8.8.8/" },
      { url: "not a url" },
      { url: "https://127.0.0.1/" },
      { url: "https://localhost/" },
      { url: "https://10.0.0.1/" },
      { url: "https://169.254.169.254/latest/meta-data/" },
      { url: "https://[::1]/" },
      { url: "https://0x7f000001/" },
    ]) {
      const refused = await face.call("POST", `${api}/webhooks`, { ...good, ...change }, asOwner(face));
      expect([change, refused.status, refused.body.error_code]).toEqual([change, 400, "INVALID_PARAMETER_VALUE"]);
    }
    const id = await hook(face, good);
    const moved = await face.call("PATCH", `${api}/webhooks/${id}`, { url: "https://192.168.1.1/" }, asOwner(face));
    expect(moved.status).toBe(400);
  });

  test("are told what happens in the registry, whichever face it happens through", async () => {
    const face = await startRawFace(database);
    const receiver = await startReceiver();
    const events = [
      "REGISTERED_MODEL.CREATED",
      "MODEL_VERSION.CREATED",
      "MODEL_VERSION_TAG.SET",
      "MODEL_VERSION_TAG.DELETED",
      "MODEL_VERSION_ALIAS.CREATED",
      "MODEL_VERSION_ALIAS.DELETED",
    ].map((text) => ({ entity: text.split(".")[0], action: text.split(".")[1] }));
    await hook(face, { url: receiver.url, events });
    const run = await face.call("POST", `${api}/runs/create`, { experiment_id: "0", start_time: 1 });
    const source = `runs:/${run.body.run.info.run_id}/model`;
    const place = { name: "m", version: "1" };
    const steps: [string, string, object][] = [
      ["POST", `${api}/registered-models/create`, { name: "m", description: "d" }],
      ["POST", `${api}/model-versions/create`, { name: "m", source }],
      ["POST", `${api}/model-versions/set-tag`, { ...place, key: "k", value: "v" }],
      ["DELETE", `${api}/model-versions/delete-tag`, { ...place, key: "k" }],
      ["PUT", "/api/v1/models/m/aliases/champion", { version: 1 }],
      ["DELETE", `${api}/registered-models/alias`, { name: "m", alias: "champion" }],
      // Nobody asked to be told of a model's own tags.
      ["POST", `${api}/registered-models/set-tag`, { name: "m", key: "k", value: "v" }],
    ];
    for (const [index, [method, path, body]] of steps.entries()) {
      expect((await face.call(method, path, body, asOwner(face))).status).toBe(200);
      if (index < 6) await bodies(receiver, index + 1);
    }
    const told = (await bodies(receiver, 6)) as { entity: string; action: string; data: object }[];
    expect(told.map(({ entity, action, data }) => [`${entity}.${action}`, data])).toEqual([
      ["registered_model.created", { name: "m", tags: {}, description: "d" }],
      [
        "model_version.created",
        { name: "m", version: "1", source, run_id: run.body.run.info.run_id, tags: {}, description: "" },
      ],
      ["model_version_tag.set", { ...place, key: "k", value: "v" }],
      ["model_version_tag.deleted", { ...place, key: "k" }],
      ["model_version_alias.created", { name: "m", alias: "champion", version: "1" }],
      ["model_version_alias.deleted", { name: "m", alias: "champion" }],
    ]);
    expect(new Set(receiver.received.map(({ headers }) => headers["x-mlflow-delivery-id"])).size).toBe(6);
  });

  test("are told of prompts as prompts", async () => {
    const face = await startRawFace(database);
    const receiver = await startReceiver();
    const events = ["PROMPT.CREATED", "PROMPT_VERSION.CREATED", "PROMPT_TAG.SET", "PROMPT_ALIAS.CREATED"];
    await hook(face, {
      url: receiver.url,
      events: [...events, "MODEL_VERSION.CREATED"].map((text) => ({
        entity: text.split(".")[0],
        action: text.split(".")[1],
      })),
    });
    const mark = { key: "mlflow.prompt.is_prompt", value: "true" };
    await face.call("POST", `${api}/registered-models/create`, { name: "p", tags: [mark] });
    await bodies(receiver, 1);
    await face.call("POST", `${api}/model-versions/create`, {
      name: "p",
      source: "dummy-source",
      tags: [mark, { key: "mlflow.prompt.text", value: "Hi" }, { key: "own", value: "1" }],
    });
    await bodies(receiver, 2);
    await face.call("POST", `${api}/registered-models/set-tag`, { name: "p", key: "k", value: "v" });
    await bodies(receiver, 3);
    await face.call("POST", `${api}/registered-models/alias`, { name: "p", alias: "best", version: "1" });
    const told = (await bodies(receiver, 4)) as { entity: string; action: string; data: object }[];
    expect(told.map(({ entity, action, data }) => [`${entity}.${action}`, data])).toEqual([
      ["prompt.created", { name: "p", tags: {}, description: "" }],
      ["prompt_version.created", { name: "p", version: "1", template: "Hi", tags: { own: "1" }, description: "" }],
      ["prompt_tag.set", { name: "p", key: "k", value: "v" }],
      ["prompt_alias.created", { name: "p", alias: "best", version: "1" }],
    ]);
  });

  test("an event is on record with the change itself, once a webhook that wants it", async () => {
    const record = await database.openDatabase();
    const [registry, notices] = [createRegistryQueries(record), createNoticeQueries(record)];
    const hooked = { name: "w", url: "https://8.8.8.8/", events: ["registered_model.created"] as const };
    const { id } = await registry.webhooks.create(hooked);
    await registry.webhooks.create({ ...hooked, status: "DISABLED" });
    await registry.webhooks.create({ ...hooked, events: ["model_version.created"] });
    await registry.models.create({ name: "m", tags: {} });
    await expect(registry.models.create({ name: "m", tags: {} })).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
    const { items } = await notices.list({}, {});
    expect(items).toMatchObject([{ kind: "webhook.registered_model.created", target: id, state: "pending" }]);
  });
});

test("what could not be told is told by the next control plane", async () => {
  const directory = await makeProject({});
  const receiver = await startReceiver();
  const first = await startForTest(directory);
  const call = (url: string, path: string, body: object, token: string) =>
    fetch(`${url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
    });
  const hooked = { name: "w", url: receiver.url, events: [created] };
  expect((await call(first.url, `${api}/webhooks`, hooked, first.token)).status).toBe(200);
  await receiver.close();
  expect((await call(first.url, `${api}/registered-models/create`, { name: "m" }, first.token)).status).toBe(200);
  await first.close();
  const again = await startReceiver({ port: receiver.port });
  await startForTest(directory);
  expect(await bodies(again, 1)).toMatchObject([
    { entity: "registered_model", action: "created", data: { name: "m" } },
  ]);
});
