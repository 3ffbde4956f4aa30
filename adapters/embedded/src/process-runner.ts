import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { open, readFile, realpath, stat, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { EspalierError, type StepRunner, type StepSpec, type StepStatus } from "@espalier/core";
import { gangCommand } from "./gang-command.ts";
import { findProcess, type ProcessIdentity, parseIdentity } from "./process-identity.ts";
import { processWrapper } from "./process-wrapper.ts";

const logChunkBytes = 1024 * 1024;
const adoptedPollMilliseconds = 250;
/** A wrapper writes its identity within milliseconds of its start; a file still without one after this is of a wrapper that died. */
const birthMilliseconds = 10_000;

export interface ProcessRunnerOptions {
  /**
   * Where the folders of this control plane's attempts lie. An attempt that began in another folder is lost, also when that folder can be
   * seen from here: what it leaves would be looked for in this one.
   */
  attemptsFolder?: string;
}

/**
 * Attempts as processes of this machine, each in a process group of its own. A handle is the attempt's folder: identity of the wrapper,
 * `log` and `exit.json` lie there, so that a step survives a kill of the control plane and is found again by the next one.
 */
export function createProcessRunner({ attemptsFolder }: ProcessRunnerOptions = {}): StepRunner {
  const children = new Map<string, ChildProcess>();
  /** By what the paths lead to: a project may be opened by another way than the last time. What is gone is no business of this question. */
  const isForeign = async (folder: string): Promise<boolean> => {
    if (attemptsFolder === undefined || dirname(folder) === attemptsFolder) return false;
    const [theirs, ours] = await Promise.all([realPathOf(dirname(folder)), realPathOf(attemptsFolder)]);
    return theirs !== undefined && theirs !== ours;
  };

  async function submit(spec: StepSpec): Promise<string> {
    const { work } = spec;
    if (work.kind !== "local") {
      throw new EspalierError("INTERNAL", "The process runner takes work that lies on this machine", {
        at: spec.label,
      });
    }
    const folder = work.attemptDirectory;
    if ((await readText(join(folder, "identity"))) !== undefined) return folder;
    const { nodes = 1, graceSeconds } = spec;
    const { command } = work;
    const whole = nodes === 1 ? command : gangCommand({ nodes, command, folder, graceSeconds, port: await freePort() });
    const child = spawn("/bin/sh", ["-c", processWrapper, "espalier-step", folder, work.workingDirectory, whole], {
      cwd: folder,
      env: { ...work.variables },
      stdio: "ignore",
      detached: true,
    });
    try {
      await once(child, "spawn");
    } catch (cause) {
      throw new EspalierError("UNAVAILABLE", `No process could be started for ${spec.label}: ${String(cause)}`, {
        cause,
      });
    }
    // A control plane that ends must not wait for its steps: the next one adopts them.
    child.unref();
    children.set(folder, child);
    child.once("exit", () => children.delete(folder));
    return folder;
  }

  async function wait(folder: string, context?: { signal?: AbortSignal }): Promise<StepStatus> {
    const signal = context?.signal;
    for (;;) {
      signal?.throwIfAborted();
      const child = children.get(folder);
      if (child) {
        child.ref();
        try {
          await once(child, "exit", signal ? { signal } : {});
        } finally {
          child.unref();
        }
      }
      const status = await currentStatus(folder);
      if (status.state !== "running" && status.state !== "pending") {
        await endGroup(folder);
        return status;
      }
      // Not a child of ours: nobody tells when it ends.
      await delay(adoptedPollMilliseconds, undefined, signal ? { signal } : {});
    }
  }

  /** A child that was just born has no identity on disk yet, and is no lost one for that. */
  async function currentStatus(folder: string): Promise<StepStatus> {
    if (await isForeign(folder)) {
      // Still running, if that folder is of this machine: it must not go on beside the attempt that follows it.
      await signalGroup(folder, undefined, "SIGKILL");
      return { state: "lost", message: `it ran in ${folder}, of another control plane` };
    }
    return children.has(folder) ? { state: "running" } : readStatus(folder);
  }

  return {
    sharesFiles: true,
    submit,
    wait,
    status: currentStatus,
    logs: readLog,
    async cancel(folder, graceSeconds) {
      const { state } = await currentStatus(folder);
      if (state !== "running" && state !== "pending") return;
      // Written first: however the step ends from here on, the end was asked for.
      await writeFile(join(folder, "cancelled"), "");
      const pid = children.get(folder)?.pid;
      await signalGroup(folder, pid, "SIGTERM");
      setTimeout(() => void signalGroup(folder, pid, "SIGKILL"), graceSeconds * 1_000).unref();
    },
  };
}

/** A port that nobody held a moment ago, for a gang to meet at. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

async function readStatus(folder: string): Promise<StepStatus> {
  const before = await readExit(folder);
  if (before) return before;
  const text = await readText(join(folder, "identity"));
  if (text === undefined) return { state: "lost", message: `its folder ${folder} holds no process` };
  const identity = parseIdentity(text);
  if (!identity) {
    const age = Date.now() - (await stat(join(folder, "identity"))).mtimeMs;
    return age < birthMilliseconds ? { state: "pending" } : { state: "lost", message: "its process died at birth" };
  }
  if ((await findProcess(identity)) === "alive") return { state: "running" };
  // It may have ended between the two looks, exit code and all.
  const after = await readExit(folder);
  if (after) return after;
  await endGroup(folder);
  if ((await readText(join(folder, "cancelled"))) !== undefined) return { state: "cancelled" };
  return {
    state: "lost",
    message: "its process ended without leaving an exit code (killed, or the machine restarted)",
  };
}

async function readExit(folder: string): Promise<StepStatus | undefined> {
  const text = await readText(join(folder, "exit.json"));
  if (text === undefined) return undefined;
  if ((await readText(join(folder, "cancelled"))) !== undefined) return { state: "cancelled" };
  const { exitCode } = JSON.parse(text) as { exitCode: number };
  return { state: "exited", exitCode };
}

/** Whatever the step started and left behind ends with it; nothing may write into its folder any more. */
async function endGroup(folder: string): Promise<void> {
  const identity = parseIdentity((await readText(join(folder, "identity"))) ?? "");
  if (!identity) return;
  // A wrapper of another control plane may be seen between its last word and its death; it has nothing left to do.
  const over = (await findProcess(identity)) === "dead" || (await readText(join(folder, "exit.json"))) !== undefined;
  if (over) killGroup(identity.pid, "SIGKILL");
}

async function signalGroup(folder: string, childPid: number | undefined, signal: NodeJS.Signals): Promise<void> {
  const identity: ProcessIdentity | undefined = parseIdentity((await readText(join(folder, "identity"))) ?? "");
  if (identity && (await findProcess(identity)) === "alive") killGroup(identity.pid, signal);
  // Cancelled within the millisecond before it could write who it is.
  else if (!identity && childPid !== undefined) killGroup(childPid, signal);
}

function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (!isMissing(error, "ESRCH")) throw error;
  }
}

async function readLog(folder: string, offset: number): Promise<{ bytes: Uint8Array; next: number }> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(join(folder, "log"));
  } catch (error) {
    if (isMissing(error, "ENOENT")) return { bytes: new Uint8Array(), next: offset };
    throw error;
  }
  try {
    const buffer = Buffer.alloc(logChunkBytes);
    const { bytesRead } = await file.read(buffer, 0, logChunkBytes, offset);
    return { bytes: buffer.subarray(0, bytesRead), next: offset + bytesRead };
  } finally {
    await file.close();
  }
}

async function realPathOf(path: string): Promise<string | undefined> {
  try {
    return await realpath(path);
  } catch (error) {
    if (isMissing(error, "ENOENT")) return undefined;
    throw error;
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isMissing(error, "ENOENT")) return undefined;
    throw error;
  }
}

const isMissing = (error: unknown, code: string): boolean =>
  error instanceof Error && "code" in error && error.code === code;
