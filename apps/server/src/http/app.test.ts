import { type RouteDefinition, type RouteName, routes } from "@espalier/contract";
import { EspalierError } from "@espalier/core";
import { pino } from "pino";
import { afterEach, describe, expect, test } from "vitest";
import { createApp } from "./app.ts";
import type { Handlers } from "./handler.ts";
import { openApiDocument } from "./openapi.ts";
import type { Principal } from "./principal.ts";
import { registerRoutes } from "./register-routes.ts";

const principals: Record<string, Principal> = {
  admin: { actor: "owner", grant: { kind: "role", role: "admin" } },
  editor: { actor: "token:e", grant: { kind: "role", role: "editor" } },
  viewer: { actor: "token:v", grant: { kind: "role", role: "viewer" } },
  attempt: { actor: "attempt:a1", grant: { kind: "attempt", attemptId: "a1", runId: "r1" } },
};

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

function makeApp(overrides: Partial<Record<RouteName, (input: never) => unknown>> = {}) {
  const audited: { action: string; actor: string; subject: string; outcome: string }[] = [];
  const handlers = new Proxy(overrides, {
    get: (target, name: RouteName) =>
      target[name] ??
      (() => {
        throw new EspalierError("UNSUPPORTED", "not in this test");
      }),
  }) as unknown as Handlers;
  const app = createApp({
    logger: pino({ level: "silent" }),
    hosts: { names: ["espalier.example"], remote: false },
    verifyToken: async (token) => principals[token],
    projectDirectory: "/home/ana/flights",
  });
  registerRoutes(app, {
    handlers,
    projectDirectory: "/home/ana/flights",
    closing: new AbortController().signal,
    audit: async (entry) => void audited.push(entry),
  });
  closers.push(() => app.close());
  return { app, audited };
}

const host = "127.0.0.1:7878";
const bearer = (token: string) => ({ host, authorization: `Bearer ${token}` });
const filled = (path: string): string => path.replace(/:[A-Za-z]+/g, "x").replace("*", "blobs/aa/bb");

describe("access", () => {
  const guarded = (Object.entries(routes) as [RouteName, RouteDefinition][]).filter(
    ([, route]) => route.role !== "signed",
  );

  test.each(guarded)("%s needs a token, and one of its role", async (_name, route) => {
    const { app } = makeApp();
    const url = filled(route.path);
    const without = await app.inject({ method: route.method, url, headers: { host } });
    expect(without.statusCode).toBe(401);
    expect(without.json().error.code).toBe("UNAUTHENTICATED");
    const unknown = await app.inject({ method: route.method, url, headers: bearer("guess") });
    expect(unknown.statusCode).toBe(401);
    const ofAttempt = await app.inject({ method: route.method, url, headers: bearer("attempt") });
    expect(ofAttempt.statusCode).toBe(403);
    for (const role of ["viewer", "editor", "admin"] as const) {
      const answer = await app.inject({ method: route.method, url, headers: bearer(role) });
      const ranks = ["viewer", "editor", "admin"];
      const allowed = ranks.indexOf(role) >= ranks.indexOf(route.role);
      expect(answer.statusCode === 403, `${role} at ${route.path}`).toBe(!allowed);
    }
  });

  test("a route without a policy can not be registered", () => {
    const { app } = makeApp();
    expect(() => app.get("/api/v1/forgotten", () => "all secrets")).toThrow(/no policy/);
  });

  test("what does not exist is not told to strangers", async () => {
    const { app } = makeApp();
    expect((await app.inject({ url: "/api/v1/nothing", headers: { host } })).statusCode).toBe(401);
    expect((await app.inject({ url: "/api/v1/nothing", headers: bearer("viewer") })).json().error.code).toBe(
      "NOT_FOUND",
    );
  });

  test.each([
    ["evil.example", undefined],
    ["127.0.0.1.evil.example", undefined],
    ["127.0.0.1@evil.example", undefined],
    ["10.1.2.3", undefined],
    [host, "http://evil.example"],
    [host, "http://127.0.0.1:9999"],
    [host, "null"],
  ])("the host %s with the origin %s is foreign", async (foreignHost, origin) => {
    const { app } = makeApp({ "project.info": () => ({}) });
    const headers = { ...bearer("admin"), host: foreignHost, ...(origin === undefined ? {} : { origin }) };
    const answer = await app.inject({ url: "/api/v1/project", headers });
    expect(answer.json().error.code).toBe("FOREIGN_HOST");
  });

  test.each(["localhost:7878", "127.0.0.1", "[::1]:7878", "espalier.example"])("the host %s is ours", async (name) => {
    const { app } = makeApp();
    const headers = { ...bearer("admin"), host: name, origin: `http://${name}` };
    expect((await app.inject({ url: "/api/v1/project", headers })).json().error.code).toBe("UNSUPPORTED");
  });
});

describe("answers", () => {
  test("a fault inside tells neither message nor stack", async () => {
    const { app } = makeApp({
      "project.info": () => {
        throw new Error("SELECT * FROM tokens failed at /home/ana/secret.ts");
      },
    });
    const answer = await app.inject({ url: "/api/v1/project", headers: bearer("viewer") });
    expect(answer.statusCode).toBe(500);
    expect(answer.body).not.toMatch(/SELECT|secret|stack/);
    expect(answer.json().error.details.requestId).toBeTruthy();
  });

  test("paths of the project are relative", async () => {
    const { app } = makeApp({
      "runs.create": () => {
        throw new EspalierError("INVALID_PIPELINE", "There is no file /home/ana/flights/train.py", {
          at: "/home/ana/flights/pipelines/train.yaml:3:1",
        });
      },
    });
    const answer = await app.inject({
      method: "POST",
      url: "/api/v1/runs",
      headers: bearer("editor"),
      payload: { pipeline: "train" },
    });
    expect(answer.json().error).toMatchObject({ message: "There is no file train.py", at: "pipelines/train.yaml:3:1" });
  });

  test.each([
    ["unknown keys", { pipeline: "train", stak: "aws" }, "INVALID_INPUT"],
    ["wrong types", { pipeline: 3 }, "INVALID_INPUT"],
  ])("%s in a body are named", async (_what, payload, code) => {
    const { app, audited } = makeApp();
    const answer = await app.inject({ method: "POST", url: "/api/v1/runs", headers: bearer("editor"), payload });
    expect(answer.statusCode).toBe(400);
    expect(answer.json().error).toMatchObject({ code, at: expect.stringMatching(/^body/) });
    expect(audited).toEqual([]);
  });

  test("a body that is not JSON, or too large, is refused", async () => {
    const { app } = makeApp();
    const post = (headers: Record<string, string>, payload: string) =>
      app.inject({ method: "POST", url: "/api/v1/runs", headers: { ...bearer("editor"), ...headers }, payload });
    expect((await post({ "content-type": "text/plain" }, "pipeline=train")).json().error.at).toBe(
      "headers.content-type",
    );
    expect((await post({ "content-type": "application/json" }, "{")).json().error.code).toBe("INVALID_INPUT");
    const large = JSON.stringify({ pipeline: "x".repeat(2 * 1024 * 1024) });
    expect((await post({ "content-type": "application/json" }, large)).json().error.code).toBe("TOO_LARGE");
  });

  test("each change leaves an audit row, whatever came of it", async () => {
    const { app, audited } = makeApp({ "secrets.delete": () => ({ done: true }) });
    await app.inject({ method: "DELETE", url: "/api/v1/secrets/API_KEY", headers: bearer("editor") });
    await app.inject({ method: "POST", url: "/api/v1/runs/r1/cancel", headers: bearer("admin") });
    expect(audited).toEqual([
      { action: "secrets.delete", actor: "token:e", subject: "API_KEY", outcome: "ok" },
      { action: "runs.cancel", actor: "owner", subject: "r1", outcome: "UNSUPPORTED" },
    ]);
  });
});

test("the OpenAPI document holds every route, its inputs and the error body", async () => {
  const document = (await openApiDocument("0.1.0")) as {
    openapi: string;
    paths: Record<string, Record<string, { operationId: string; responses: Record<string, unknown> }>>;
  };
  expect(document.openapi).toBe("3.1.0");
  const operations = Object.values(document.paths).flatMap((path) => Object.values(path));
  expect(operations.map((operation) => operation.operationId).sort()).toEqual(Object.keys(routes).sort());
  for (const operation of operations) expect(Object.keys(operation.responses)).toEqual(["200", "default"]);
  expect(JSON.stringify(document.paths["/api/v1/runs"]?.post)).toContain("pipeline");
});
