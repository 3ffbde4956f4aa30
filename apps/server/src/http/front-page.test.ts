import type { FastifyReply } from "fastify";
import { pino } from "pino";
import { afterEach, expect, test } from "vitest";
import { createApp } from "./app.ts";
import { registerFrontPage } from "./front-page.ts";

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

const url = "http://127.0.0.1:7878";

function makeApp() {
  const app = createApp({
    logger: pino({ level: "silent" }),
    hosts: { names: [], remote: false },
    verifyToken: async () => undefined,
    projectDirectory: "/home/ana/flights",
  });
  const web = { isBuilt: false, register: () => undefined, page: (reply: FastifyReply) => reply };
  registerFrontPage(app, { version: '1.2.3<"', url: () => url, web });
  closers.push(() => app.close());
  return app;
}

const get = (headers: Record<string, string>) =>
  makeApp().inject({ url: "/", headers: { host: "127.0.0.1:7878", ...headers } });

test("a program is told what there is, and where", async () => {
  for (const accept of ["*/*", "application/json"]) {
    const answer = await get({ accept });
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toMatchObject({
      name: "Espalier",
      version: '1.2.3<"',
      openapi: `${url}/api/v1/openapi.json`,
      mlflow: url,
    });
  }
});

test("a browser gets a page, which takes nothing from elsewhere and runs nothing", async () => {
  const answer = await get({ accept: "text/html,application/xhtml+xml,*/*;q=0.8" });
  expect(answer.statusCode).toBe(200);
  expect(answer.headers["content-type"]).toBe("text/html; charset=utf-8");
  expect(answer.headers["content-security-policy"]).toContain("default-src 'none'");
  expect(answer.body).toContain(`MLFLOW_TRACKING_URI=${url}`);
  expect(answer.body).toContain("1.2.3&lt;&quot;");
  expect(answer.body).not.toMatch(/<script|https?:\/\/(?!127\.0\.0\.1)/);
});

test("a page of another origin does not get it, and a foreign host neither", async () => {
  expect((await get({ host: "evil.example" })).statusCode).toBe(403);
  expect((await get({ "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors" })).statusCode).toBe(403);
});
