import { once } from "node:events";
import { type AddressInfo, connect, type Socket } from "node:net";
import { EspalierError } from "@espalier/core";
import { pino } from "pino";
import { afterEach, describe, expect, test } from "vitest";
import { checkHost } from "./allowed-hosts.ts";
import { type AppOptions, createApp } from "./app.ts";
import type { Principal } from "./principal.ts";

const principals: Record<string, Principal> = {
  owner: { actor: "owner", grant: { kind: "role", role: "admin" } },
  ci: { actor: "token:ci", grant: { kind: "role", role: "editor" } },
  other: { actor: "token:other", grant: { kind: "role", role: "editor" } },
};

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

function makeApp(options: Partial<AppOptions> = {}) {
  const app = createApp({
    logger: pino({ level: "silent" }),
    hosts: { names: ["espalier.example"], remote: false },
    verifyToken: async (token) => principals[token],
    projectDirectory: "/home/ana/flights",
    ...options,
  });
  app.get("/api/v1/thing", { config: { policy: "viewer" } }, async () => ({ done: true }));
  app.post("/api/v1/thing", { config: { policy: "editor" } }, async () => ({ done: true }));
  app.post("/api/2.0/mlflow/thing", { config: { policy: "mlflow-write" } }, async () => ({ done: true }));
  app.put("/api/v1/bytes", { config: { policy: "editor" }, bodyLimit: 1e12 }, async ({ body }) => {
    let size = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) size += chunk.length;
    return { size };
  });
  closers.push(() => app.close());
  return app;
}

const host = "127.0.0.1:7878";
const as = (token: string, more: Record<string, string> = {}) => ({ host, authorization: `Bearer ${token}`, ...more });

function codeOf(work: () => void): string {
  try {
    work();
    return "allowed";
  } catch (error) {
    return error instanceof EspalierError ? error.code : String(error);
  }
}

describe("Host and Origin", () => {
  const local = { names: ["espalier.example"], remote: false };
  const remote = { names: ["espalier.example"], remote: true };

  test.each([
    "127.0.0.1",
    "127.0.0.1:7878",
    "127.1.2.3:7878",
    "localhost:7878",
    "LOCALHOST",
    "[::1]:7878",
    "espalier.example",
    "espalier.example:80",
  ])("%s is ours", (name) => {
    expect(codeOf(() => checkHost(local, name, undefined))).toBe("allowed");
    expect(codeOf(() => checkHost(local, name, `http://${name}`))).toBe("allowed");
  });

  test.each([
    undefined,
    "",
    "10.evil.com",
    "10.0.0.1.evil.com",
    "127.0.0.1.evil.com",
    "127.evil.com",
    "192.168.evil.com:5000",
    "localhost.evil.com",
    "localhost.",
    "127.0.0.1.",
    "evil-localhost",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "127.1",
    "0",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::]",
    "[::1%25eth0]",
    "127.0.0.1@evil.com",
    "evil.com#127.0.0.1",
    "127.0.0.1\\evil.com",
    "127.0.0.1/evil",
    "127.0.0.1 ",
    "127.0.0.1:99999",
    "espalier.example.evil.com",
    "espalier%2eexample",
  ])("%s is foreign, bound to loopback or beyond", (name) => {
    expect(codeOf(() => checkHost(local, name, undefined))).toBe("FOREIGN_HOST");
    if (name !== "[::]" && name !== "[::ffff:127.0.0.1]") {
      expect(codeOf(() => checkHost(remote, name, undefined))).toBe("FOREIGN_HOST");
    }
  });

  test("an address of the network is ours only when bound beyond loopback", () => {
    for (const name of ["10.0.0.5:7878", "192.168.1.2", "[2001:db8::1]:7878"]) {
      expect(codeOf(() => checkHost(local, name, undefined))).toBe("FOREIGN_HOST");
      expect(codeOf(() => checkHost(remote, name, undefined))).toBe("allowed");
    }
  });

  test.each([
    "http://evil.com",
    "http://127.0.0.1",
    "http://127.0.0.1:9999",
    "http://localhost:7878",
    "http://127.0.0.1:7878.evil.com",
    "null",
    "file://",
    "chrome-extension://abc",
    "http://10.evil.com",
  ])("a page of %s may call neither face, nor may its images and scripts", async (origin) => {
    const app = makeApp();
    for (const url of ["/api/v1/thing", "/api/2.0/mlflow/thing"]) {
      const answer = await app.inject({ method: "POST", url, headers: as("ci", { origin }), payload: {} });
      expect(answer.statusCode).toBe(403);
      expect(Object.keys(answer.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
    }
  });

  test.each([
    ["cross-site", "no-cors", "script", 403],
    ["same-site", "cors", "empty", 403],
    ["cross-site", "navigate", "iframe", 403],
    ["cross-site", "navigate", "document", 200],
    ["same-origin", "cors", "empty", 200],
    ["none", "navigate", "document", 200],
  ])("a browser's request that is %s, %s, %s: %d", async (site, mode, dest, status) => {
    const headers = as("ci", { "sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": dest });
    expect((await makeApp().inject({ url: "/api/v1/thing", headers })).statusCode).toBe(status);
  });

  test("no answer lets another origin read it, also not a preflight's", async () => {
    const app = makeApp();
    const headers = { ...as("ci"), origin: `http://${host}`, "access-control-request-method": "POST" };
    for (const method of ["GET", "POST", "OPTIONS"] as const) {
      const answer = await app.inject({ method, url: "/api/v1/thing", headers });
      expect(Object.keys(answer.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
      expect(answer.headers).toMatchObject({
        "x-content-type-options": "nosniff",
        "x-frame-options": "SAMEORIGIN",
        "cross-origin-resource-policy": "same-origin",
      });
    }
  });
});

describe("limits", () => {
  test("a token that sends too much is told when to come back; others and the owner are not slowed", async () => {
    const app = makeApp({ rateLimit: { perSecond: 0.1, burst: 3 } });
    const ask = (token: string) => app.inject({ url: "/api/v1/thing", headers: as(token) });
    for (let count = 0; count < 3; count += 1) expect((await ask("ci")).statusCode).toBe(200);
    const refused = await ask("ci");
    expect(refused.statusCode).toBe(429);
    expect(refused.json().error.code).toBe("RATE_LIMITED");
    expect(Number(refused.headers["retry-after"])).toBeGreaterThanOrEqual(9);
    expect((await ask("other")).statusCode).toBe(200);
    for (let count = 0; count < 10; count += 1) expect((await ask("owner")).statusCode).toBe(200);
  });

  test("a body beyond the limit is refused before it is read", async () => {
    const app = makeApp();
    const url = "/api/v1/thing";
    const headers = as("ci", { "content-type": "application/json" });
    const payload = JSON.stringify({ text: "x".repeat(1024 * 1024) });
    expect((await app.inject({ method: "POST", url, headers, payload })).statusCode).toBe(413);
    const claimed = { ...headers, "content-length": String(2 ** 40) };
    expect((await app.inject({ method: "POST", url, headers: claimed, payload: "{}" })).statusCode).toBe(413);
  });
});

describe("clients that take their time", () => {
  const bodies = { documentMilliseconds: 150, silenceMilliseconds: 1_000, sweepMilliseconds: 20 };

  async function open(): Promise<{ socket: Socket; heard(): string; ended: Promise<unknown> }> {
    const app = makeApp({ times: { headersMilliseconds: 200, bodies } });
    await app.listen({ port: 0, host: "127.0.0.1" });
    const socket = connect((app.server.address() as AddressInfo).port, "127.0.0.1");
    let text = "";
    socket.on("data", (chunk) => (text += String(chunk)));
    socket.on("error", () => undefined);
    // Not `once`: it fails with the error of a byte that comes after the end, and an end is what is waited for.
    const ended = new Promise((resolve) => socket.once("close", resolve));
    await once(socket, "connect");
    return { socket, heard: () => text, ended };
  }

  test("headers that never end end the connection", async () => {
    const { socket, ended } = await open();
    socket.write("GET /api/v1/thing HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    await ended;
  });

  test("a document that comes drop by drop ends the connection", async () => {
    const { socket, ended } = await open();
    socket.write(
      "POST /api/v1/thing HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ci\r\nContent-Type: application/json\r\nContent-Length: 10000\r\n\r\n{",
    );
    const drops = setInterval(() => socket.write(" "), 20);
    await ended;
    clearInterval(drops);
  });

  test("an upload may be slow for longer than that, but not silent", async () => {
    const { socket, heard, ended } = await open();
    const head = (length: number): string =>
      `PUT /api/v1/bytes HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ci\r\nContent-Type: application/octet-stream\r\nContent-Length: ${length}\r\n\r\n`;
    socket.write(head(30));
    let sent = 0;
    await new Promise<void>((resolve) => {
      const drops = setInterval(() => {
        socket.write("x");
        sent += 1;
        if (sent < 30) return;
        clearInterval(drops);
        resolve();
      }, 20);
    });
    await expect.poll(heard).toContain('{"size":30}');
    socket.write(`${head(30)}x`);
    await ended;
  });
});

describe("what is no request", () => {
  test.each([
    ["bytes of another protocol", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "INVALID_INPUT"],
    ["a line that is no request", "GET\r\n\r\n", 400, "INVALID_INPUT"],
    ["headers without end", `GET / HTTP/1.1\r\nhost: ${host}\r\nx: ${"x".repeat(20_000)}\r\n\r\n`, 431, "TOO_LARGE"],
  ])("%s is refused in the form of all errors", async (_what, bytes, status, code) => {
    const app = makeApp();
    await app.listen({ host: "127.0.0.1", port: 0 });
    const socket = connect((app.server.address() as AddressInfo).port, "127.0.0.1");
    let answer = "";
    socket.on("data", (chunk: Buffer) => {
      answer += chunk.toString();
    });
    socket.write(Buffer.from(bytes, "latin1"));
    await once(socket, "close");
    const [head = "", body = ""] = answer.split("\r\n\r\n");
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(JSON.parse(body)).toEqual({ error: { code, message: expect.any(String), details: {} } });
  });

  test("what can not be met is one line of log, with its root", async () => {
    const lines: Record<string, unknown>[] = [];
    const logger = pino({ level: "warn", base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) });
    const app = makeApp({ logger });
    app.get("/api/v1/away", { config: { policy: "viewer" } }, async () => {
      const cause = new TypeError("fetch failed", { cause: new Error("connect ECONNREFUSED 127.0.0.1:9") });
      throw new EspalierError("UNREACHABLE", "The server does not answer", { at: "source", cause });
    });
    expect((await app.inject({ url: "/api/v1/away", headers: as("owner") })).statusCode).toBe(503);
    expect(lines).toMatchObject([
      {
        code: "UNREACHABLE",
        message: "The server does not answer",
        at: "source",
        cause: "connect ECONNREFUSED 127.0.0.1:9",
      },
    ]);
    expect(JSON.stringify(lines)).not.toContain("protection.test.ts");
  });
});
