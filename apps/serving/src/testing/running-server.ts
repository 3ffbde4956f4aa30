import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listen } from "../http/listen.ts";
import { createModelServer, type ModelServer, type ModelServerOptions } from "../model-server.ts";

// biome-ignore lint/suspicious/noExplicitAny: answers of two protocols, looked into by tests.
type Answer = any;

export interface RunningServer {
  url: string;
  port: number;
  server: ModelServer;
  post(
    path: string,
    body: unknown,
    headers?: Record<string, string>,
  ): Promise<{ status: number; body: Answer; headers: Headers }>;
  /** As `post`, for answers that are not JSON. */
  send(
    path: string,
    body: string | Uint8Array | undefined,
    headers?: Record<string, string>,
    method?: string,
  ): Promise<{ status: number; bytes: Buffer; headers: Headers }>;
}

/** A model server on a free port of loopback, loaded unless told otherwise. The caller closes it. */
export async function runServer(
  options: Omit<ModelServerOptions, "name" | "version">,
  load = true,
): Promise<RunningServer> {
  const server = createModelServer({ name: "tiny", version: "3", aliases: ["endpoint"], ...options });
  const port = await listen(server.server, "127.0.0.1", 0);
  if (load) await server.load();
  const url = `http://127.0.0.1:${port}`;
  const send: RunningServer["send"] = async (path, body, headers = {}, method = "POST") => {
    const response = await fetch(url + path, { method, headers, body: (body as string) ?? null });
    return { status: response.status, headers: response.headers, bytes: Buffer.from(await response.arrayBuffer()) };
  };
  return {
    url,
    port,
    server,
    send,
    async post(path, body, headers = {}) {
      const sent = typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
      const answered = await send(path, sent, { "content-type": "application/json", ...headers });
      return { status: answered.status, body: JSON.parse(answered.bytes.toString()), headers: answered.headers };
    },
  };
}

export async function temporaryFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "espalier-serving-"));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}
