import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { entryPoint } from "@espalier/host";

// biome-ignore lint/suspicious/noExplicitAny: answers of several protocols, looked into by tests.
type Body = any;

export interface ServedModel {
  url: string;
  process: ChildProcess;
  /** Structured lines of the server's log so far. */
  lines: Record<string, unknown>[];
  post(path: string, body: unknown, contentType?: string): Promise<{ status: number; body: Body }>;
  /** Process ids of the workers that have become ready, newest last. */
  workers(): number[];
  stop(): Promise<number | null>;
}

/** The model server as a process, once it has announced itself. An error holds what it announced instead. */
export async function serveModel(folder: string, python: string | undefined, ...flags: string[]): Promise<ServedModel> {
  const scratch = await mkdtemp(join(tmpdir(), "espalier-served-"));
  const announce = join(scratch, "announce.json");
  const program = python === undefined ? [] : ["--python", python];
  const child = spawn(
    process.execPath,
    [
      entryPoint("serving"),
      "model",
      "--model-dir",
      folder,
      "--name",
      "m",
      "--version",
      "1",
      "--announce",
      announce,
    ].concat(program, flags),
    { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, SECRET_OF_OURS: "do not tell" } },
  );
  const lines: Record<string, unknown>[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      if (line.startsWith("{")) lines.push(JSON.parse(line));
    });
  }
  const ended = once(child, "close");
  const stop = async (): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
    await ended;
    await rm(scratch, { recursive: true, force: true });
    return child.exitCode;
  };
  const announced = await readAnnouncement(announce);
  if (announced.port === undefined) {
    await stop();
    throw Object.assign(new Error(announced.error?.message), announced.error);
  }
  const url = `http://127.0.0.1:${announced.port}`;
  return {
    url,
    process: child,
    lines,
    workers: () =>
      lines.filter(({ message }) => message === "A Python worker is ready").map(({ workerPid }) => Number(workerPid)),
    async post(path, body, contentType = "application/json") {
      const response = await fetch(url + path, {
        method: "POST",
        headers: { "content-type": contentType },
        body: typeof body === "string" ? body : JSON.stringify(body),
      });
      return { status: response.status, body: JSON.parse(await response.text()) };
    },
    stop,
  };
}

async function readAnnouncement(
  file: string,
): Promise<{ port?: number; error?: { code: string; message: string; hint?: string } }> {
  for (;;) {
    const text = await readFile(file, "utf8").catch(() => undefined);
    if (text !== undefined) return JSON.parse(text);
    await delay(50);
  }
}
