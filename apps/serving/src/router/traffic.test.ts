import { type ServerResponse, request as send } from "node:http";
import { connect, type Socket } from "node:net";
import type { RouterState } from "@espalier/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { routed, type Upstream, upstream } from "../testing/routed.ts";
import { createRetryBudget } from "./retry-budget.ts";

type Route = Awaited<ReturnType<typeof routed>>;

/** Holds requests until they are let go. */
function holding(fake: Upstream): { held: ServerResponse[]; letGo(): void } {
  const held: ServerResponse[] = [];
  fake.handle = (request, response) => {
    request.resume();
    held.push(response);
  };
  return {
    held,
    letGo() {
      for (const response of held.splice(0)) response.end('{"predictions":[1]}');
    },
  };
}

const answering = (fake: Upstream, predictions: unknown, status = 200) => {
  fake.handle = (request, response) =>
    request.resume().on("end", () => response.writeHead(status).end(JSON.stringify({ predictions })));
};

describe("traffic", () => {
  let servers: [Upstream, Upstream, Upstream];
  let route: Route;
  const base = (generation = 1): RouterState => ({
    format: 1,
    endpoint: "flights",
    generation,
    captureRate: 1,
    versions: [{ key: "v1", model: "m", version: "1", port: servers[0].port, weight: 1 }],
  });
  const besides = (more: Partial<RouterState["versions"][number]>): RouterState => ({
    ...base(),
    versions: [...base().versions, { key: "v2", model: "m", version: "2", port: servers[1].port, weight: 0, ...more }],
  });
  const begin = async (state: RouterState) => {
    route = await routed(state);
  };

  beforeEach(async () => {
    servers = [await upstream("a"), await upstream("b"), await upstream("c")];
  });
  afterEach(async () => {
    await route.close();
    await Promise.all(servers.map((server) => server.close()));
  });
  const replicated = (): RouterState => ({
    ...base(),
    versions: base().versions.map((version) => ({ ...version, replicaPorts: [servers[1].port], wantedReplicas: 2 })),
  });

  it("spreads a version's requests over its replicas, the idle one first", async () => {
    await begin(replicated());
    expect((await route.status()).versions[0]).toMatchObject({ replicas: { ready: 2, wanted: 2 } });
    const busy = holding(servers[0]);
    const late = [];
    while (busy.held.length === 0) {
      late.push(route.predict());
      await route.status();
    }
    for (let request = 0; request < 10; request++) expect((await route.predict()).body.from).toBe("b");
    busy.letGo();
    await Promise.all(late);
  });

  it("takes a replica that dies out, loses nothing, and lets it in again", async () => {
    await begin(replicated());
    const dying = holding(servers[0]);
    const asked = [];
    while (dying.held.length === 0) {
      asked.push(route.predict());
      await route.status();
    }
    await servers[0].close();
    expect((await Promise.all(asked)).map(({ status, body }) => [status, body.from])).toEqual(
      asked.map(() => [200, "b"]),
    );
    await route.until(({ versions }) => versions[0]?.replicas?.ready === 1);
    expect(await route.status()).toMatchObject({
      ready: true,
      versions: [{ requests: asked.length, errors: 0, retries: 1 }],
    });
    await new Promise<void>((resolve) => servers[0].server.listen(servers[0].port, "127.0.0.1", resolve));
    await route.until(({ versions }) => versions[0]?.replicas?.ready === 2);
  });

  it("keeps requests waiting while the only replica is away, and gives them to the one that takes its place", async () => {
    await begin(base());
    await servers[0].close();
    const asked = Array.from({ length: 5 }, () => route.predict());
    await route.until(({ versions }) => versions[0]?.queued === 5);
    expect((await route.status()).ready).toBe(false);
    const [version] = base().versions;
    await route.writeState({ ...base(), versions: [{ ...version, port: servers[1].port }] });
    expect((await Promise.all(asked)).map(({ status, version }) => [status, version])).toEqual(
      new Array(5).fill([200, "1"]),
    );
  });

  it("asks no server on the port of the old one that is of another version", async () => {
    servers[0].server.removeAllListeners("request").on("request", (_request, response) => {
      response.end(JSON.stringify({ ready: true, name: "m", version: "7" }));
    });
    const [version] = base().versions;
    const at = (port: number, generation: number) => ({ ...base(generation), versions: [{ ...version, port }] });
    await begin(at(servers[1].port, 1) as RouterState);
    await route.writeState(at(servers[0].port, 2));
    await route.until(({ message }) => message?.includes("version 7 answers on its port") ?? false);
    expect((await route.predict()).body.from).toBe("b");
  });

  it("holds each replica to its concurrency and the queue to its length, and says when to come again", async () => {
    await begin({ ...base(), limits: { concurrency: 2, queue: 1 } });
    const busy = holding(servers[0]);
    const taken = [route.predict(), route.predict()];
    while (busy.held.length < 2) await route.status();
    const waiting = route.predict();
    await route.until(({ versions }) => versions[0]?.queued === 1);
    expect(await route.predict()).toMatchObject({
      status: 429,
      retryAfter: "1",
      body: { code: "RATE_LIMITED", error_code: "REQUEST_LIMIT_EXCEEDED" },
    });
    expect(busy.held).toHaveLength(2);
    answering(servers[0], [2]);
    busy.letGo();
    expect((await Promise.all([...taken, waiting])).map(({ status }) => status)).toEqual([200, 200, 200]);
    expect((await route.status()).versions[0]?.errors).toBe(0);
  });

  it("passes on what is left of the caller's time, and gives up when it is up", async () => {
    await begin({ ...base(), limits: { concurrency: 1 } });
    const { body } = await route.predict({ "x-request-timeout-ms": "5000" });
    expect(Number(body.headers["x-espalier-timeout-ms"])).toBeGreaterThan(1000);
    expect(Number(body.headers["x-espalier-timeout-ms"])).toBeLessThanOrEqual(5000);
    const busy = holding(servers[0]);
    const slow = route.predict();
    while (busy.held.length === 0) await route.status();
    const impatient = await route.predict({ "x-espalier-timeout-ms": "50" });
    expect(impatient).toMatchObject({ status: 503, retryAfter: "1", body: { error: expect.stringContaining("busy") } });
    expect((await route.predict({ "x-espalier-timeout-ms": "soon" })).status).toBe(400);
    busy.letGo();
    expect((await slow).status).toBe(200);
  });

  it("sends by header and by group of keys to the version of a rule, whatever the weights say", async () => {
    const rules = [
      { header: "X-Tier", value: "beta", version: "2" },
      { keys: ["ana", "bo"], version: "2" },
    ];
    await begin({ ...besides({}), rules, stickyHeader: "X-User" });
    expect((await route.predict()).version).toBe("1");
    expect((await route.predict({ "x-tier": "beta" })).version).toBe("2");
    expect((await route.predict({ "x-tier": "gamma", "x-user": "bo" })).version).toBe("2");
    expect((await route.predict({ "x-user": "cy" })).version).toBe("1");
    // The path names a version, which is more than a rule; and captured is what a rule sends, not what somebody tries.
    expect((await route.predict({ "x-tier": "beta" }, "/v2/models/m/versions/1/infer")).version).toBe("1");
    const headers = async (...given: Parameters<Route["predict"]>) => (await route.predict(...given)).body.headers;
    expect((await headers({ "x-tier": "beta" }))["x-espalier-capture"]).toBe("1");
  });

  it("captures no request that tries out a version without traffic", async () => {
    await begin(besides({}));
    const tried = await route.predict({}, "/v2/models/m/versions/2/infer");
    expect(tried).toMatchObject({ version: "2", body: { headers: { "x-espalier-capture": "0" } } });
  });

  it("mirrors requests to a shadow after the caller's answer, and compares what both say", async () => {
    await begin(besides({ mirror: 1 }));
    answering(servers[0], [0.5, 0.7, "late"]);
    answering(servers[1], [0.5, 0.75, "late"]);
    for (let request = 0; request < 10; request++) expect((await route.predict()).version).toBe("1");
    const { versions } = await route.until((now) => now.versions[1]?.shadow?.compared === 30);
    expect(versions[1]).toMatchObject({
      requests: 0,
      shadow: { mirrored: 10, failed: 0, dropped: 0, agreed: 20, numbers: 20 },
    });
    expect(versions[1]?.shadow?.differenceLargest).toBeCloseTo(0.05);
    answering(servers[1], [], 500);
    expect((await route.predict()).status).toBe(200);
    await route.until((now) => now.versions[1]?.shadow?.failed === 1);
  });

  it("never waits for a shadow: what its budget does not hold is dropped and counted", async () => {
    await begin({ ...besides({ mirror: 1 }), limits: { shadowConcurrency: 2 } });
    const stuck = holding(servers[1]);
    answering(servers[0], [1]);
    for (let request = 0; request < 5; request++) expect((await route.predict()).status).toBe(200);
    const { versions } = await route.until((now) => now.versions[1]?.shadow?.dropped === 3);
    expect(versions[1]?.shadow).toMatchObject({ mirrored: 2, compared: 0 });
    expect(await (await fetch(`${route.url}/metrics`)).text()).toContain(
      'espalier_router_shadow_dropped{version="2"} 3',
    );
    stuck.letGo();
    await route.until((now) => now.versions[1]?.shadow?.compared === 2);
  });

  it("reaches a program's own paths and passes its events on as they come", async () => {
    const [version] = base().versions;
    await begin({ ...base(), versions: [{ ...version, paths: ["/v1/chat/"] } as RouterState["versions"][number]] });
    let finish: () => void = () => undefined;
    servers[0].handle = (request, response) => {
      request.resume();
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(`data: ${request.headers["authorization"]}\n\n`);
      finish = () => response.end("data: [DONE]\n\n");
    };
    const answer = await fetch(`${route.url}/v1/chat/completions`, {
      method: "POST",
      body: "{}",
      headers: { authorization: "Bearer key" },
    });
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("data: Bearer key\n\n");
    finish();
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("data: [DONE]\n\n");
    expect((await reader.read()).done).toBe(true);
    expect((await fetch(`${route.url}/v1/other`, { method: "POST" })).status).toBe(404);
  });

  it("lets nobody out of a program's paths, and nobody load or unload its models", async () => {
    const [version] = base().versions;
    const paths = ["/v1/", "/v2/"];
    await begin({ ...base(), versions: [{ ...version, paths } as RouterState["versions"][number]] });
    // fetch would resolve the dots itself.
    const ask = (path: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        const options = { method: "POST", port: new URL(route.url).port, host: "127.0.0.1", path };
        send(options, (response) => resolve(response.resume().statusCode))
          .on("error", reject)
          .end("{}");
      });
    expect(await ask("/v1/chat/completions")).toBe(200);
    expect(await ask("/v2/repository/index")).toBe(200);
    for (const path of [
      "/v1/../admin",
      "/v1/%2e%2E/admin",
      "/v1/..%2fadmin",
      "/v1/a\\..\\..\\admin",
      "/v1/./admin",
      "/v1/%zz",
      "/v2/repository/models/m/unload",
      "/v2/repository/models/m/load",
    ]) {
      expect([path, await ask(path)]).toEqual([path, 404]);
    }
  });

  it("two models of one version number are told apart by the model's name", async () => {
    await begin(besides({ model: "other", version: "1" }));
    const asked = async (model: string) => (await route.predict({}, `/v2/models/${model}/versions/1/infer`)).body.from;
    expect([await asked("m"), await asked("other"), await asked("flights")]).toEqual(["a", "b", "a"]);
  });

  it("does not ask for a caller who hung up while waiting", async () => {
    await begin({ ...base(), limits: { concurrency: 1 } });
    const busy = holding(servers[0]);
    const first = route.predict();
    while (busy.held.length === 0) await route.status();
    const leaving = new AbortController();
    let hungUp: Socket | undefined;
    route.router.server.on("request", ({ method, socket }) => {
      if (method === "POST") hungUp ??= socket;
    });
    const left = fetch(`${route.url}/invocations`, { method: "POST", body: "{}", signal: leaving.signal });
    await route.until((now) => now.versions[0]?.queued === 1);
    leaving.abort();
    await expect(left).rejects.toThrow();
    while (hungUp?.destroyed !== true) await route.status();
    let asked = 0;
    busy.letGo();
    servers[0].handle = (request, response) => {
      asked++;
      request.resume().on("end", () => response.end("{}"));
    };
    expect((await first).status).toBe(200);
    await route.until((now) => now.versions[0]?.queued === 0);
    expect((await route.predict()).status).toBe(200);
    expect(asked).toBe(1);
  });

  it("does not wait, when it stops, for a connection on which nothing has come", async () => {
    await begin(base());
    const socket = connect(Number(new URL(route.url).port), "127.0.0.1");
    await new Promise((resolve) => socket.once("connect", resolve));
    await route.status();
    const ended = new Promise((resolve) => socket.on("error", () => undefined).once("close", resolve));
    await route.close();
    await ended;
    await begin(base());
  });
});

it("retries are a share of requests, after a burst", () => {
  let now = 0;
  const budget = createRetryBudget(() => now);
  const spent = () => {
    let count = 0;
    while (budget.spend()) count++;
    return count;
  };
  expect(spent()).toBe(2000);
  for (let request = 0; request < 101; request++) budget.earn();
  expect(spent()).toBe(20);
  now = 1000;
  expect(spent()).toBe(10);
});
