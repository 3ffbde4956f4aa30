import { spawn } from "node:child_process";
import { join } from "node:path";
import type { BenchRequest } from "./model.ts";

/** What one run of the load generator is told. */
export interface LoadOptions {
  port: number;
  path: string;
  headers: Readonly<Record<string, string>>;
  /** Base64. */
  body: string;
  grpc: boolean;
  connections: number;
  /** Counted; what comes before is not. */
  seconds: number;
  warmUpSeconds: number;
}

export interface LoadResult {
  requestsPerSecond: number;
  p50Milliseconds: number;
  p99Milliseconds: number;
  requests: number;
  failed: number;
}

/** Keeps one connection busy: `answered` is told whether an answer is good, and tells whether to ask again. Resolves when it is closed. */
export type Caller = (
  request: { port: number; path: string; headers: Readonly<Record<string, string>>; body: Buffer },
  answered: (good: boolean) => boolean,
) => Promise<void>;

export interface LoadLength {
  connections: number;
  seconds: number;
}

/** Load from a process of its own, so that it has an event loop of its own. */
export async function load(port: number, request: BenchRequest, length: LoadLength): Promise<LoadResult> {
  const { path, headers = {}, body, grpc = false } = request;
  const options: LoadOptions = {
    port,
    path,
    headers,
    body: body.toString("base64"),
    grpc,
    warmUpSeconds: 2,
    ...length,
  };
  const child = spawn(process.execPath, [join(import.meta.dirname, "load-generator.ts")], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.end(JSON.stringify(options));
  const chunks: Buffer[] = [];
  for await (const chunk of child.stdout) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  if (text === "") throw new Error(`The load generator of ${path} ended without a result`);
  return JSON.parse(text) as LoadResult;
}
