import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import type { Server } from "node:http";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { announcementSchema } from "@espalier/core";

const startMilliseconds = 60_000;
const descriptor = 3;

/** Starts a process that holds the same listening socket, and resolves with its id once it has announced that it serves. */
export async function spawnSuccessor(server: Server, announceFile: string | undefined): Promise<number> {
  if (announceFile === undefined) throw new Error("it could announce itself nowhere (--announce)");
  const command = await successorCommand(announceFile);
  const child = spawn(process.execPath, [...command, "--listen-fd", String(descriptor)], {
    stdio: ["ignore", "inherit", "inherit", listeningDescriptor(server)],
    detached: true,
  });
  const died = new Promise<never>((_, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => reject(new Error(`it ended with ${code ?? signal}`)));
  });
  died.catch(() => undefined);
  child.unref();
  const deadline = performance.now() + startMilliseconds;
  while (performance.now() < deadline) {
    if ((await announcedPid(announceFile)) === child.pid) return child.pid as number;
    await Promise.race([delay(10), died]);
  }
  child.kill("SIGKILL");
  throw new Error(`it did not serve within ${startMilliseconds / 1000} s`);
}

/** Node has no documented way to it on an `http.Server`; a test holds that this one goes on to work. */
function listeningDescriptor(server: Server): number {
  const { fd } = (server as unknown as { _handle?: { fd?: number } })._handle ?? {};
  if (fd === undefined || fd < 0) throw new Error("its socket has no descriptor here");
  return fd;
}

/** `successor.json` beside the announcement, where a newer program is to take over; else what this process was started with. */
async function successorCommand(announceFile: string): Promise<string[]> {
  try {
    const told = JSON.parse(await readFile(join(dirname(announceFile), "successor.json"), "utf8")) as unknown;
    if (Array.isArray(told)) return told.map(String);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
  const [, program = "", ...rest] = process.argv;
  const at = rest.indexOf("--listen-fd");
  if (at >= 0) rest.splice(at, 2);
  return [...process.execArgv, program, ...rest];
}

async function announcedPid(announceFile: string): Promise<number | undefined> {
  const announced = announcementSchema.safeParse(JSON.parse(await readFile(announceFile, "utf8")));
  return announced.success && "port" in announced.data ? announced.data.pid : undefined;
}
