import { rename, writeFile } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { RouterState, RouterStatus } from "@espalier/core";
import { listen } from "../http/listen.ts";
import { createRouter } from "../router/router.ts";
import { temporaryFolder } from "./running-server.ts";

/** Stands for a model server: what it answers is the test's. */
export interface Upstream {
  server: Server;
  port: number;
  ready: boolean;
  handle: RequestListener;
  close(): Promise<void>;
}

export async function upstream(name: string): Promise<Upstream> {
  const fake: Upstream = {
    server: createServer((request, response) => {
      if (request.url === "/v2/health/ready") response.writeHead(fake.ready ? 200 : 503).end();
      else fake.handle(request, response);
    }),
    port: 0,
    ready: true,
    handle: (request, response) => {
      request
        .resume()
        .on("end", () => response.end(JSON.stringify({ from: name, headers: request.headers, url: request.url })));
    },
    close: () =>
      new Promise<void>((resolve) => {
        fake.server.close(() => resolve());
        fake.server.closeAllConnections();
      }),
  };
  fake.port = await listen(fake.server, "127.0.0.1", 0);
  return fake;
}

/** A router with its state in a temporary folder. */
export async function routed(first: RouterState) {
  const folder = await temporaryFolder();
  const stateFile = join(folder.path, "state.json");
  const writeState = async (content: unknown): Promise<void> => {
    await writeFile(`${stateFile}.new`, typeof content === "string" ? content : JSON.stringify(content));
    await rename(`${stateFile}.new`, stateFile);
  };
  await writeState(first);
  const router = createRouter({ stateFile, bodyLimitBytes: 1000 });
  await router.open();
  const url = `http://127.0.0.1:${await listen(router.server, "127.0.0.1", 0)}`;
  const status = async () => (await (await fetch(`${url}/status`)).json()) as RouterStatus;
  /** Waits for a condition; only a test that fails reaches the end. */
  const until = async (holds: (now: RouterStatus) => boolean): Promise<RouterStatus> => {
    for (let tries = 0; tries < 400; tries++) {
      const now = await status();
      if (holds(now)) return now;
      await delay(25);
    }
    throw new Error(`it did not happen: ${JSON.stringify(await status())}`);
  };
  await until((now) => now.ready);
  return {
    router,
    url,
    status,
    until,
    writeState,
    async predict(headers: Record<string, string> = {}, path = "/invocations", body = "{}") {
      const response = await fetch(url + path, { method: "POST", body, headers });
      const text = await response.text();
      return {
        status: response.status,
        version: response.headers.get("x-espalier-model-version"),
        retryAfter: response.headers.get("retry-after"),
        body: JSON.parse(text),
      };
    },
    async close() {
      await router.close();
      await folder.remove();
    },
  };
}
