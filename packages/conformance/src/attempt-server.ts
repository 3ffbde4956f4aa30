import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import {
  apiPrefix,
  type LauncherDownload,
  type LauncherExit,
  type LauncherManifest,
  launcherAppendQuerySchema,
  launcherExitSchema,
  launcherManifestSchema,
  launcherOutputsSchema,
} from "@espalier/contract";
import type { RemoteWork } from "@espalier/core";

/** What one attempt gives to the launcher, and what came back. */
export interface ServedAttempt {
  log: Buffer;
  events: Buffer;
  /** By output, then path: the bytes. */
  outputs: Record<string, Record<string, Buffer>>;
  exit?: LauncherExit;
  /** The launcher is told to stop. */
  cancel: boolean;
}

export interface AttemptServer {
  /** Lays out one attempt; called again with the same id it gives the same work. Inputs are single files. */
  work(
    attemptId: string,
    command: string,
    options?: { inputs?: Record<string, Buffer>; outputs?: string[]; params?: Record<string, unknown> },
  ): RemoteWork;
  attempt(attemptId: string): ServedAttempt;
  /** As a runner's `logs`, of what the launcher sent. */
  logs(attemptId: string, offset: number): { bytes: Uint8Array; next: number };
  close(): Promise<void>;
}

interface Attempt extends ServedAttempt {
  manifest: LauncherManifest;
  inputs: Record<string, Buffer>;
  blobs: Map<string, Buffer>;
  starts: number;
}

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

/**
 * The launcher's half of a control plane, in memory, for the conformance of runners elsewhere: the protocol by its published schemas, and
 * a token per attempt. A second start of one attempt shows in its log.
 */
export async function startAttemptServer(graceSeconds = 1): Promise<AttemptServer> {
  const attempts = new Map<string, Attempt>();
  const server = createServer((request, response) => {
    answer(attempts, request).then(
      (reply) => send(response, 200, reply),
      (error: unknown) => send(response, error instanceof Refusal ? error.status : 500, { error: String(error) }),
    );
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const origin = `http://127.0.0.1:${address.port}`;
  const attemptOf = (id: string): Attempt => {
    const found = attempts.get(id);
    if (found) return found;
    throw new Error(`no attempt ${id}`);
  };
  return {
    work(attemptId, command, { inputs = {}, outputs = [], params = {} } = {}) {
      const base = `${apiPrefix}/attempts/${attemptId}`;
      const fileOf = (name: string, bytes: Buffer): LauncherDownload => ({
        path: "",
        size: bytes.length,
        sha256: sha256(bytes),
        url: `${base}/inputs/${name}?path=`,
      });
      if (!attempts.has(attemptId)) {
        const manifest = launcherManifestSchema.parse({
          protocol: 1,
          attemptId,
          runId: "run",
          step: "step",
          command,
          variables: {},
          params,
          inputs: Object.fromEntries(
            Object.entries(inputs).map(([name, bytes]) => [name, { type: "file", files: [fileOf(name, bytes)] }]),
          ),
          outputs: Object.fromEntries(outputs.map((name) => [name, { type: "file" }])),
          graceSeconds,
        });
        attempts.set(attemptId, {
          ...{ log: Buffer.alloc(0), events: Buffer.alloc(0), outputs: {}, cancel: false, starts: 0 },
          ...{ manifest, inputs, blobs: new Map() },
        });
      }
      return { kind: "remote", manifestUrl: `${origin}${base}/manifest`, token: tokenOf(attemptId) };
    },
    attempt: attemptOf,
    logs(attemptId, offset) {
      const bytes = attemptOf(attemptId).log.subarray(offset);
      return { bytes, next: offset + bytes.length };
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const tokenOf = (attemptId: string): string => `token-of-${attemptId}`;

async function answer(attempts: Map<string, Attempt>, request: IncomingMessage): Promise<unknown> {
  const url = new URL(request.url ?? "/", "http://localhost");
  const [id = "", route = "", name = ""] = url.pathname.slice(`${apiPrefix}/attempts/`.length).split("/");
  const attempt = attempts.get(id);
  if (!attempt) throw new Refusal(404, `no attempt ${id}`);
  if (request.headers.authorization !== `Bearer ${tokenOf(id)}`) throw new Refusal(401, "wrong token");
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  switch (`${request.method} ${route}`) {
    case "GET manifest":
      attempt.starts += 1;
      if (attempt.starts > 1) attempt.log = Buffer.concat([attempt.log, Buffer.from("started again\n")]);
      return attempt.manifest;
    case "GET inputs":
      return attempt.inputs[name] ?? Promise.reject(new Refusal(404, `no input ${name}`));
    case "POST log":
    case "POST events":
      return append(attempt, route as "log" | "events", url, body);
    case "POST outputs":
      return declare(attempt, id, body);
    case "PUT blobs":
      if (sha256(body) !== name) throw new Refusal(400, "the bytes are not those of the digest");
      attempt.blobs.set(name, body);
      return { done: true };
    case "POST exit":
      attempt.exit = launcherExitSchema.parse(JSON.parse(body.toString()));
      takeOutputs(attempt);
      return { done: true };
    default:
      throw new Refusal(404, `${request.method} ${route} is no route`);
  }
}

function append(attempt: Attempt, file: "log" | "events", url: URL, body: Buffer): unknown {
  const { offset } = launcherAppendQuerySchema.parse(Object.fromEntries(url.searchParams));
  const known = attempt[file].length;
  if (offset > known) throw new Refusal(409, `bytes ${known} to ${offset} are missing`);
  attempt[file] = Buffer.concat([attempt[file], body.subarray(known - offset)]);
  return { next: attempt[file].length, cancel: attempt.cancel };
}

type Declared = Record<string, { path: string; sha256: string }[]>;
const declarations = new WeakMap<Attempt, Declared>();

function declare(attempt: Attempt, id: string, body: Buffer): unknown {
  const { outputs } = launcherOutputsSchema.parse(JSON.parse(body.toString()));
  declarations.set(attempt, Object.fromEntries(Object.entries(outputs).map(([name, { files }]) => [name, files])));
  const wanted = new Set(Object.values(outputs).flatMap(({ files }) => files.map((file) => file.sha256)));
  const missing = [...wanted].filter((digest) => !attempt.blobs.has(digest));
  const urlOf = (digest: string): string => `${apiPrefix}/attempts/${id}/blobs/${digest}`;
  return { missing: missing.map((digest) => ({ sha256: digest, url: urlOf(digest), headers: {} })) };
}

function takeOutputs(attempt: Attempt): void {
  for (const [name, files] of Object.entries(declarations.get(attempt) ?? {})) {
    const entries = files.map(({ path, sha256: digest }) => [path, attempt.blobs.get(digest) ?? Buffer.alloc(0)]);
    attempt.outputs[name] = Object.fromEntries(entries) as Record<string, Buffer>;
  }
}

function send(response: ServerResponse, status: number, reply: unknown): void {
  const bytes = Buffer.isBuffer(reply) ? reply : Buffer.from(JSON.stringify(reply));
  response.writeHead(status, {
    "content-type": Buffer.isBuffer(reply) ? "application/octet-stream" : "application/json",
    "content-length": bytes.length,
  });
  response.end(bytes);
}
