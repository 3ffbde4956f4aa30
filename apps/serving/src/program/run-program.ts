import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { EspalierError } from "@espalier/core";
import { announce } from "../announce.ts";
import type { ServingArguments } from "../arguments.ts";
import { listen } from "../http/listen.ts";
import { endLeftover, noteChild } from "./leftover.ts";
import { containerName, type ProgramRuntime, programCommand, readRuntime } from "./program-command.ts";

type ProgramArguments = Extract<ServingArguments, { kind: "program" }>;

interface ProgramService {
  drain(): void;
  close(): Promise<void>;
}

const healthMilliseconds = 2_000;
const lookMilliseconds = 100;
const graceMilliseconds = 20_000;

/**
 * Runs a program of the user's as if it were a model server: gives it a port, announces it once it is healthy, passes SIGTERM on, and ends
 * when it ends, so that whoever supervises this process starts it again. Errors: INVALID_CONFIG, NOT_INSTALLED, UNAVAILABLE.
 */
export async function runProgram(given: ProgramArguments, log: (message: string) => void): Promise<ProgramService> {
  const runtime = await readRuntime(given.runtimeFile);
  await endLeftover(given.runtimeFile);
  const port = await freePort();
  const name = containerName(given.runtimeFile);
  const { file, args, environment } = programCommand(runtime, port, name);
  const child = spawn(file, args, { stdio: ["ignore", "inherit", "inherit"], env: { ...process.env, ...environment } });
  await started(child, runtime);
  // However this process ends, nobody would end the program after it.
  process.on("exit", () => child.kill("SIGKILL"));
  await noteChild(given.runtimeFile, child.pid as number);
  log(`${file} starts on port ${port}`);
  let stopping = false;
  const ended = once(child, "exit").then(([code, signal]) => `it ended with ${code ?? signal}`);
  await healthy(runtime, port, ended);
  announce(given.announce, { pid: process.pid, port });
  log(`${file} is healthy`);
  void ended.then((how) => {
    if (stopping) return;
    log(`${file}: ${how}`);
    process.exit(1);
  });
  return {
    drain: () => undefined,
    async close() {
      stopping = true;
      child.kill("SIGTERM");
      const late = await Promise.race([ended.then(() => false), delay(graceMilliseconds, true, { ref: false })]);
      if (late) child.kill("SIGKILL");
      await ended;
      // Podman that is killed leaves its container running.
      if (late && runtime.image !== undefined) await promisify(execFile)(file, ["rm", "--force", "--time", "0", name]);
    },
  };
}

async function started(child: ChildProcess, { image }: ProgramRuntime): Promise<void> {
  const outcome = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    child.once("spawn", () => resolve(undefined));
    child.once("error", resolve);
  });
  if (outcome === undefined) return;
  if (outcome.code !== "ENOENT") {
    throw new EspalierError("UNAVAILABLE", `The program can not be started: ${outcome.message}`, { cause: outcome });
  }
  throw new EspalierError("NOT_INSTALLED", `There is no program ${child.spawnfile} here`, {
    at: image === undefined ? "runtime.command.0" : "runtime.image",
    cause: outcome,
    hint:
      image === undefined
        ? "Give its full path, or install it."
        : "Install Podman, or give `command:` in place of `image:`.",
  });
}

async function healthy(
  { healthPath = "/health" }: ProgramRuntime,
  port: number,
  ended: Promise<string>,
): Promise<void> {
  let died: string | undefined;
  void ended.then((how) => {
    died = how;
  });
  for (;;) {
    if (died !== undefined) {
      throw new EspalierError("UNAVAILABLE", `The program was not healthy before ${died}`, { at: "runtime.command" });
    }
    try {
      const response = await fetch(`http://127.0.0.1:${port}${healthPath}`, {
        signal: AbortSignal.timeout(healthMilliseconds),
      });
      await response.arrayBuffer();
      if (response.ok) return;
    } catch {
      // It does not listen yet; whoever started this process bounds the wait.
    }
    await Promise.race([delay(lookMilliseconds), ended]);
  }
}

/** Free at this moment; a program that finds it taken ends, and is started again with another. */
async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server, "127.0.0.1", 0);
  await new Promise((resolve) => server.close(resolve));
  return port;
}
