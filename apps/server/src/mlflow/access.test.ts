import type { AddressInfo } from "node:net";
import type { RouteOptions } from "fastify";
import { pino } from "pino";
import { afterEach, describe, expect, test } from "vitest";
import type { ControlPlane } from "../control-plane.ts";
import { createApp } from "../http/app.ts";
import type { Principal, ServerPolicy } from "../http/principal.ts";
import { registerMlflow } from "./register-mlflow.ts";

/**
 * Every route of the face, of whatever area, against every kind of caller. Nothing behind the door is there: a caller that is let in meets
 * this error and no other.
 */
const letIn = "behind the door";
const behind: unknown = new Proxy(() => undefined, {
  get: (_target, name) => (name === "then" ? undefined : name === Symbol.toPrimitive ? () => "" : behind),
  apply: () => {
    throw new Error(letIn);
  },
});
/** The audit log works: it is written for refused changes too. */
const record = new Proxy(
  {},
  { get: (_target, name) => (name === "audit" ? { append: async () => undefined } : behind) },
);

const plane = {
  record,
  artifacts: behind,
  stack: behind,
  project: {
    directory: "/home/ana/flights",
    stateDirectory: "/home/ana/flights/.espalier",
    config: {},
    name: "flights",
  },
  logger: pino({ level: "silent" }),
  closing: new AbortController().signal,
  url: () => "http://127.0.0.1:1",
  publicUrl: () => "http://127.0.0.1:1",
} as unknown as ControlPlane;

const principals: Record<string, Principal> = {
  admin: { actor: "owner", grant: { kind: "role", role: "admin" } },
  editor: { actor: "token:e", grant: { kind: "role", role: "editor" } },
  viewer: { actor: "token:v", grant: { kind: "role", role: "viewer" } },
  attempt: { actor: "attempt:a1", grant: { kind: "attempt", attemptId: "a1", runId: "r1" } },
};

const apps: ReturnType<typeof createApp>[] = [];
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close();
});

interface Listed {
  method: string;
  url: string;
  policy: ServerPolicy | undefined;
}

async function makeApp(loopbackWithoutToken = true) {
  const app = createApp({
    logger: pino({ level: "silent" }),
    hosts: { names: [], remote: false },
    verifyToken: async (token) => principals[token],
    projectDirectory: "/home/ana/flights",
    loopbackWithoutToken,
  });
  apps.push(app);
  const routes: Listed[] = [];
  app.addHook("onRoute", ({ method, url, config }: RouteOptions) => {
    for (const one of [method].flat()) routes.push({ method: one, url, policy: config?.policy });
  });
  await registerMlflow(app, plane);
  await app.ready();
  const ask = async ({ method, url }: Pick<Listed, "method" | "url">, headers: Record<string, string>) =>
    app.inject({
      method: method as "GET",
      url: url.replaceAll(/:[A-Za-z_]+/g, "x").replaceAll("*", "x"),
      headers: { host: "127.0.0.1", ...headers },
    });
  const askOverTcp = async (route: Listed, headers: Record<string, string>): Promise<number> => {
    const { port } = app.server.address() as AddressInfo;
    const path = route.url.replaceAll(/:[A-Za-z_]+/g, "x").replaceAll("*", "x");
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method: route.method, headers });
    await answer.body?.cancel();
    return answer.status;
  };
  const listen = () => app.listen({ host: "127.0.0.1", port: 0 });
  return { routes, ask, askOverTcp, listen };
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const basic = (password: string) => ({ authorization: `Basic ${Buffer.from(`ana:${password}`).toString("base64")}` });
/** What the door itself answers; all else comes from behind it. */
const refused = (status: number): boolean => status === 401 || status === 403;

describe("the routes of the MLflow face", () => {
  const open = ["/version", "/health"];
  /** Their right is in the URL; artifact-proxy.test.ts says what becomes of one that is forged. */
  const signed = /\/mlflow-artifacts\/(mpu\/parts|signed)\//;
  const guarded = ({ url }: Listed): boolean => !open.includes(url) && !signed.test(url);
  /** Where they lead may be a secret: who may not change them does not see them. */
  const secretive = /\/webhooks(\/|$)/;

  test("each has a policy that its method and path suggest", async () => {
    const { routes } = await makeApp();
    expect(routes.length).toBeGreaterThan(50);
    for (const { method, url, policy } of routes) {
      if (open.includes(url)) expect(policy, url).toBe("open");
      else if (signed.test(url)) expect(policy, url).toBe("signed");
      else expect(["mlflow-read", "mlflow-write"], `${method} ${url}`).toContain(policy);
      // What changes something is never a GET, and what is a read is a GET or a search by POST.
      if (open.includes(url) || signed.test(url)) continue;
      if (secretive.test(url)) expect(policy, url).toBe("mlflow-write");
      else if (method === "GET" || method === "HEAD") expect(policy, url).not.toBe("mlflow-write");
      else if (policy === "mlflow-read") {
        expect(`${method} ${url}`).toMatch(
          /^POST .*\/(search|get|get-latest-versions|batchGet|batchGetInfos|[a-z-]*(query|metrics|correlation|search-[a-z]+))$/,
        );
      }
    }
  });

  test("each is served below /ajax-api as below /api, for the same callers", async () => {
    const { routes } = await makeApp();
    const policies = new Map(routes.map(({ method, url, policy }) => [`${method} ${url}`, policy]));
    for (const { method, url, policy } of routes) {
      if (!url.startsWith("/api/")) continue;
      expect(policies.get(`${method} ${url.replace("/api/", "/ajax-api/")}`), `${method} ${url}`).toBe(policy);
    }
  });

  test("nobody is let in with wrong credentials, nor without any from elsewhere", async () => {
    const { routes, ask } = await makeApp(false);
    for (const route of routes.filter(guarded)) {
      const name = `${route.method} ${route.url}`;
      const wrong = [{}, bearer("guess"), basic("guess"), { authorization: "Basic !" }, { authorization: "Digest x" }];
      for (const headers of wrong) {
        const answer = await ask(route, headers as Record<string, string>);
        expect(answer.statusCode, name).toBe(401);
        expect(answer.headers["www-authenticate"], name).toMatch(/^Basic /);
      }
    }
  });

  test("viewers read, editors and steps write too; a token is also a password", async () => {
    const { routes, ask } = await makeApp(false);
    for (const route of routes.filter(guarded)) {
      const name = `${route.method} ${route.url}`;
      const writes = route.policy === "mlflow-write";
      expect((await ask(route, bearer("viewer"))).statusCode === 403, name).toBe(writes);
      for (const headers of [bearer("editor"), basic("admin"), bearer("attempt")]) {
        expect(refused((await ask(route, headers)).statusCode), name).toBe(false);
      }
    }
  });

  test("a process of this machine needs no token, unless a proxy speaks for somebody", async () => {
    const { routes, askOverTcp, listen } = await makeApp();
    await listen();
    for (const route of routes.filter(guarded)) {
      const name = `${route.method} ${route.url}`;
      expect(refused(await askOverTcp(route, {})), name).toBe(secretive.test(route.url));
      for (const header of ["x-forwarded-for", "forwarded", "x-real-ip", "x-forwarded-proto"]) {
        expect(await askOverTcp(route, { [header]: "1" }), `${name} ${header}`).toBe(401);
      }
      expect(await askOverTcp(route, bearer("guess")), `${name}, with a wrong token`).toBe(401);
    }
  });

  test("a page of another origin reaches none, on either prefix", async () => {
    const { routes, ask } = await makeApp();
    for (const route of routes.filter(guarded)) {
      for (const headers of [{ origin: "http://evil.com" }, { origin: "null" }, { host: "10.evil.com" }]) {
        const answer = await ask(route, headers as Record<string, string>);
        expect(answer.statusCode, `${route.method} ${route.url}`).toBe(403);
        expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
      }
    }
  });
});
