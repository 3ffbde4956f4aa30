import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createApp } from "../http/app.ts";
import { registerFrontPage } from "../http/front-page.ts";
import type { VerifyToken } from "../http/principal.ts";
import { registerSessionRoutes } from "./session-routes.ts";
import { createSessions, linkMinutes, sessionSeconds } from "./sessions.ts";
import { readWebFiles } from "./web-files.ts";

const key = randomBytes(32);
const host = "127.0.0.1:7878";
const origin = `http://${host}`;
const tokens = new Map<string, "viewer" | "admin">();
const verifyToken: VerifyToken = async (token) => {
  const role = tokens.get(token);
  if (token === "step") return { actor: "attempt:1", grant: { kind: "attempt", attemptId: "1", runId: "2" } };
  return role === undefined ? undefined : { actor: "token:ann", grant: { kind: "role", role } };
};

let folder: string;
let now: number;
beforeEach(async () => {
  now = Date.now();
  tokens.clear();
  folder = await mkdtemp(join(tmpdir(), "espalier-web-"));
  await mkdir(join(folder, "assets"));
  await writeFile(join(folder, "index.html"), "<!doctype html><div id=root></div>");
  await writeFile(join(folder, "assets/index-abc.js"), "console.log(1)");
  await mkdir(join(folder, ".vite"));
  await writeFile(join(folder, ".vite/manifest.json"), "{}");
});
afterEach(() => rm(folder, { recursive: true }));

async function makeApp() {
  const sessions = createSessions(key, verifyToken, () => now);
  const files = await readWebFiles(folder);
  const app = createApp({
    logger: pino({ level: "silent" }),
    hosts: { names: [], remote: false },
    verifyToken,
    web: { sessions, files },
    projectDirectory: "/home/ana/flights",
  });
  registerSessionRoutes(app, sessions, () => false);
  files.register(app);
  registerFrontPage(app, { version: "1", url: () => origin, web: files });
  app.get("/api/v1/secret", { config: { policy: "viewer" } }, async ({ principal }) => ({ actor: principal?.actor }));
  app.post("/api/v1/change", { config: { policy: "admin" } }, async ({ principal }) => ({ actor: principal?.actor }));
  return { app, sessions };
}

type App = Awaited<ReturnType<typeof makeApp>>["app"];
const call = (
  app: App,
  method: "GET" | "POST" | "DELETE",
  url: string,
  headers: Record<string, string> = {},
  payload?: object,
) => app.inject({ method, url, headers: { host, ...headers }, ...(payload === undefined ? {} : { payload }) });
const cookieOf = (answer: { headers: Record<string, unknown> }): string =>
  String(answer.headers["set-cookie"]).split(";")[0] as string;

test("a link signs in once, by a cookie that no script reads and no other site sends", async () => {
  const { app, sessions } = await makeApp();
  const code = sessions.mintCode();
  const entered = await call(app, "POST", "/api/v1/session", { origin }, { code });
  expect(entered.statusCode).toBe(200);
  expect(entered.json()).toEqual({ actor: "owner", role: "admin" });
  expect(entered.headers["set-cookie"]).toMatch(
    new RegExp(`; Path=/; HttpOnly; SameSite=Strict; Max-Age=${sessionSeconds}$`),
  );
  const cookie = cookieOf(entered);
  expect((await call(app, "GET", "/api/v1/secret", { cookie })).json()).toEqual({ actor: "owner" });
  expect((await call(app, "POST", "/api/v1/change", { cookie, origin })).json()).toEqual({ actor: "owner" });

  const again = await call(app, "POST", "/api/v1/session", { origin }, { code });
  expect(again.statusCode).toBe(401);
  expect(again.json().error).toMatchObject({ code: "UNAUTHENTICATED", hint: expect.stringContaining("espalier up") });
  const late = sessions.mintCode();
  now += (linkMinutes + 1) * 60_000;
  expect((await call(app, "POST", "/api/v1/session", { origin }, { code: late })).statusCode).toBe(401);
  expect((await call(app, "POST", "/api/v1/session", { origin }, { code: "guessed" })).statusCode).toBe(401);
});

test("a change by a session must come from a page of ours", async () => {
  const { app, sessions } = await makeApp();
  const cookie = cookieOf(await call(app, "POST", "/api/v1/session", { origin }, { code: sessions.mintCode() }));
  expect((await call(app, "POST", "/api/v1/change", { cookie })).statusCode).toBe(403);
  expect((await call(app, "POST", "/api/v1/change", { cookie, origin: "https://evil.example" })).statusCode).toBe(403);
  expect((await call(app, "POST", "/api/v1/change", { cookie, "sec-fetch-site": "cross-site" })).statusCode).toBe(403);
  expect((await call(app, "POST", "/api/v1/change", { cookie, "sec-fetch-site": "same-origin" })).statusCode).toBe(200);
  expect((await call(app, "POST", "/api/v1/session", {}, { code: sessions.mintCode() })).statusCode).toBe(403);
});

test("a token signs in with its role, and its session ends with it; a step's token is no person's", async () => {
  const { app } = await makeApp();
  tokens.set("ann's", "viewer");
  const entered = await call(app, "POST", "/api/v1/session", { origin }, { token: "ann's" });
  expect(entered.json()).toEqual({ actor: "token:ann", role: "viewer" });
  const cookie = cookieOf(entered);
  expect(cookie).not.toContain("ann");
  expect((await call(app, "GET", "/api/v1/secret", { cookie })).json()).toEqual({ actor: "token:ann" });
  expect((await call(app, "POST", "/api/v1/change", { cookie, origin })).statusCode).toBe(403);
  tokens.clear();
  expect((await call(app, "GET", "/api/v1/secret", { cookie })).statusCode).toBe(401);
  for (const token of ["step", "unknown"]) {
    expect((await call(app, "POST", "/api/v1/session", { origin }, { token })).statusCode).toBe(401);
  }
});

test("a session ends by time and by signing out, survives a restart, and is worth nothing forged or elsewhere", async () => {
  const { app, sessions } = await makeApp();
  const cookie = cookieOf(await call(app, "POST", "/api/v1/session", { origin }, { code: sessions.mintCode() }));
  const restarted = await makeApp();
  expect((await call(restarted.app, "GET", "/api/v1/secret", { cookie })).statusCode).toBe(200);
  const last = cookie.at(-2) === "A" ? "B" : "A";
  for (const forged of [`${cookie.slice(0, -2)}${last}${cookie.at(-1)}`, "espalier_session=x", cookie.slice(0, 30)]) {
    const answer = await call(app, "GET", "/api/v1/secret", { cookie: forged });
    expect([forged, answer.statusCode]).toEqual([forged, 401]);
  }
  const other = createSessions(randomBytes(32), verifyToken);
  expect(await other.verify(cookie.slice("espalier_session=".length), undefined)).toBeUndefined();
  const out = await call(app, "DELETE", "/api/v1/session", { cookie, origin });
  expect(out.headers["set-cookie"]).toMatch(/^espalier_session=; .*Max-Age=0/);
  now += (sessionSeconds + 1) * 1000;
  const ended = await call(app, "GET", "/api/v1/secret", { cookie });
  expect(ended.json().error).toMatchObject({ code: "UNAUTHENTICATED", message: "The session has ended" });
  // A program's token is not held to the cookie of the browser beside it.
  tokens.set("good", "viewer");
  expect((await call(app, "GET", "/api/v1/secret", { cookie, authorization: "Bearer good" })).statusCode).toBe(200);
});

test("a browser gets the page at every address of the UI, with a policy that runs only our files", async () => {
  const { app } = await makeApp();
  const accept = "text/html,*/*;q=0.8";
  for (const url of ["/", "/runs", "/runs/01J?tab=log", "/sign-in"]) {
    const answer = await call(app, "GET", url, { accept });
    expect([url, answer.statusCode, answer.body]).toEqual([url, 200, "<!doctype html><div id=root></div>"]);
    expect(answer.headers["content-security-policy"]).toMatch(
      /^default-src 'none'; script-src 'self'; style-src 'self';/,
    );
    expect(answer.headers["content-security-policy"]).toContain("frame-ancestors 'none'");
    expect(answer.headers["content-security-policy"]).not.toContain("unsafe");
  }
  const script = await call(app, "GET", "/assets/index-abc.js");
  expect(script).toMatchObject({ statusCode: 200, body: "console.log(1)" });
  expect(script.headers["cache-control"]).toContain("immutable");
  const same = await call(app, "GET", "/assets/index-abc.js", { "if-none-match": String(script.headers["etag"]) });
  expect(same.statusCode).toBe(304);
  for (const url of [
    "/assets/../index.html",
    "/.vite/manifest.json",
    "/nothing.js",
    "/api/v1/nothing",
    "/api/2.0/mlflow/nothing",
  ]) {
    const answer = await call(app, "GET", url, url.startsWith("/api") ? { accept } : {});
    expect([url, answer.statusCode >= 400]).toEqual([url, true]);
  }
});

test("without a build the front page says how to make one", async () => {
  await rm(join(folder, "index.html"));
  const { app } = await makeApp();
  expect((await call(app, "GET", "/", { accept: "text/html" })).body).toContain("npm run build -w @espalier/web");
  expect((await call(app, "GET", "/runs", { accept: "text/html" })).statusCode).toBe(404);
});
