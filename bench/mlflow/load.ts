import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { LoadOptions, LoadResult } from "./http-load.ts";

/** In a process of its own, with an event loop of its own. */
export async function load(url: string, options: Omit<LoadOptions, "port">): Promise<LoadResult> {
  const whole: LoadOptions = { ...options, port: Number(new URL(url).port) };
  // Ids of 100,000 runs are too long for an argument.
  const child = spawn(process.execPath, [join(import.meta.dirname, "http-load.ts")], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.end(JSON.stringify(whole));
  const chunks: Buffer[] = [];
  for await (const chunk of child.stdout) chunks.push(chunk as Buffer);
  if (child.exitCode === null) await once(child, "exit");
  if (child.exitCode !== 0) throw new Error(`The load generator ended with ${child.exitCode}`);
  return JSON.parse(Buffer.concat(chunks).toString()) as LoadResult;
}
