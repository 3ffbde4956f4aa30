import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import type { BenchRequest } from "./model.ts";

/** A server that is measured. */
export interface BenchServer {
  /** Of the process whose tree is its memory. */
  pid: number;
  port: number;
  grpcPort?: number;
  /** Seconds from the start of its process to its first answer. */
  coldStartSeconds: number;
  /** The text of that answer. */
  firstAnswer: string;
  stop(): Promise<void>;
}

export interface Program {
  command: string;
  words: readonly string[];
  folder: string;
  variables?: Readonly<Record<string, string>>;
  port: number;
  grpcPort?: number;
  /** Asked until it is answered. */
  first: BenchRequest;
}

/** Starts it in a process group of its own. Errors: a program that ends, or does not answer within two minutes, with its last words. */
export async function startProgram(program: Program): Promise<BenchServer> {
  const started = performance.now();
  const child = spawn(program.command, program.words, {
    cwd: program.folder,
    env: { ...process.env, ...program.variables },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-4_000);
    });
  }
  const exited = once(child, "close");
  const killWithUs = (): void => signalGroup(child, "SIGKILL");
  process.once("exit", killWithUs);
  const stop = async (): Promise<void> => {
    process.removeListener("exit", killWithUs);
    signalGroup(child, "SIGTERM");
    await Promise.race([exited, pause(10_000, undefined, { ref: false })]);
    signalGroup(child, "SIGKILL");
    await exited;
  };
  const firstAnswer = await Promise.race([answers(program, started + 120_000), exited.then(() => undefined)]);
  const coldStartSeconds = (performance.now() - started) / 1000;
  if (firstAnswer === undefined) {
    await stop();
    throw new Error(`${program.command} ${program.words.join(" ")} did not answer: ${log.trim()}`);
  }
  const { port, grpcPort } = program;
  return {
    pid: child.pid ?? 0,
    port,
    coldStartSeconds,
    firstAnswer,
    stop,
    ...(grpcPort === undefined ? {} : { grpcPort }),
  };
}

async function answers({ port, first }: Program, deadline: number): Promise<string | undefined> {
  while (performance.now() < deadline) {
    const text = await fetch(`http://127.0.0.1:${port}${first.path}`, {
      method: "POST",
      headers: { "content-type": "application/json", connection: "close", ...first.headers },
      body: first.body,
      signal: AbortSignal.timeout(5_000),
    }).then(
      async (response) => {
        const body = await response.text();
        return response.status === 200 ? body : undefined;
      },
      // It does not listen yet.
      () => undefined,
    );
    if (text !== undefined) return text;
    await pause(5);
  }
  return undefined;
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    // Nobody of the group is left.
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}
