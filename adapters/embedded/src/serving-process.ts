import { execFile, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { announcementSchema, type ErrorCode, EspalierError, errorTable } from "@espalier/core";

const run = promisify(execFile);
const pollMilliseconds = 25;

/** A detached process with a folder of its own: `process.json`, `announce.json`, `log`. */
export interface ServingProcess {
  pid: number;
  port: number;
  /** It was told to stop, and waits for another to take its place. */
  leaving?: boolean;
}

export interface StartOptions {
  folder: string;
  /** Program and arguments behind `node`; `--announce` is added. */
  command: readonly string[];
  /** For messages: `the router of flights`. */
  label: string;
  startSeconds: number;
}

const announceFile = (folder: string): string => join(folder, "announce.json");
const processFile = (folder: string): string => join(folder, "process.json");
/** Processes that gave their place to another, and answer what they have. */
const replacedFile = (folder: string): string => join(folder, "replaced.json");
const mostReplaced = 20;

/** A smaller place for young objects: a busy server keeps to less memory, and is as fast. */
const nodeFlags = ["--max-semi-space-size=8"];

/** Where a user's own Podman keeps its state and settings. */
const podmanVariables = ["XDG_RUNTIME_DIR", "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF", "REGISTRY_AUTH_FILE"];

/** Variables that a serving process may see, beside OpenTelemetry's and those of devices, which workers get from it; no secret of the control plane is among them. */
const passedVariables = [
  "PATH",
  "HOME",
  "TMPDIR",
  "LANG",
  "TZ",
  "LD_LIBRARY_PATH",
  "SSL_CERT_FILE",
  ...podmanVariables,
];
const passedFamilies = /^(OTEL_|LC_|LANGUAGE$|NVIDIA_|CUDA_VISIBLE_DEVICES$)/;

export async function writeJson(path: string, value: unknown): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  await writeFile(temporary, JSON.stringify(value, null, 2));
  await rename(temporary, path);
}

/** Absent when the file is not there; half a file can not be, since all are renamed into place. */
export async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new EspalierError("CORRUPTED", `${path} can not be read`, { at: path, cause: error });
  }
}

/** The process that lives in this folder and has announced its port. */
export async function findServing(folder: string): Promise<ServingProcess | undefined> {
  const announced = announcementSchema.safeParse(await readJson(announceFile(folder)));
  if (!announced.success || !("port" in announced.data)) return undefined;
  const { pid, port, leaving } = announced.data;
  if (!(await isOurs(pid, folder))) return undefined;
  return { pid, port, ...(leaving === undefined ? {} : { leaving }) };
}

/**
 * Has a process give its listening socket to another one that runs `command`, and resolves once that one serves; the old one answers what
 * it has and ends by itself. Errors: UNAVAILABLE when nobody took over, with the old one still there.
 */
export async function replaceServing(options: StartOptions, old: ServingProcess): Promise<ServingProcess> {
  const { folder, label } = options;
  await writeJson(join(folder, "successor.json"), [...options.command, "--announce", announceFile(folder)]);
  signal(old.pid, "SIGUSR2");
  const deadline = Date.now() + options.startSeconds * 1000;
  while (Date.now() < deadline) {
    const next = await findServing(folder);
    if (next !== undefined && next.pid !== old.pid) {
      await writeJson(replacedFile(folder), [...(await replacedPids(folder)), old.pid].slice(-mostReplaced));
      await writeJson(processFile(folder), { pid: next.pid, startedAt: new Date().toISOString() });
      return next;
    }
    if (!(await isOurs(old.pid, folder))) break;
    await delay(pollMilliseconds);
  }
  throw new EspalierError("UNAVAILABLE", `${label} was not replaced: ${await logTail(folder)}`, {
    at: join(folder, "log"),
  });
}

/**
 * Starts the process, or goes on waiting for the one that is starting already, until it has announced its port.
 * Errors: what it announced (SIGNATURE_MISMATCH, PORT_IN_USE, ...), UNAVAILABLE when it died or did not get ready.
 */
export async function startServing(options: StartOptions): Promise<ServingProcess> {
  const { folder, label } = options;
  const pid = (await livingPids(folder))[0] ?? (await strayPid(folder)) ?? (await spawnDetached(options));
  const deadline = Date.now() + options.startSeconds * 1000;
  while (Date.now() < deadline) {
    const announced = announcementSchema.safeParse(await readJson(announceFile(folder)));
    if (announced.success && announced.data.pid === pid) {
      if ("port" in announced.data) return { pid, port: announced.data.port };
      throw announcedError(announced.data.error, label);
    }
    if (!(await isOurs(pid, folder))) {
      // It may have announced its error between the two looks.
      const last = announcementSchema.safeParse(await readJson(announceFile(folder)));
      if (last.success && "error" in last.data) throw announcedError(last.data.error, label);
      throw new EspalierError("UNAVAILABLE", `${label} ended while it started: ${await logTail(folder)}`, {
        at: join(folder, "log"),
      });
    }
    await delay(pollMilliseconds);
  }
  await stopServing(folder, 0);
  throw new EspalierError("UNAVAILABLE", `${label} was not ready within ${options.startSeconds} s`, {
    at: join(folder, "log"),
    hint: "Look into its log; a large model may need a larger start_seconds.",
  });
}

async function spawnDetached({ folder, command, label }: StartOptions): Promise<number> {
  await mkdir(folder, { recursive: true });
  await rm(announceFile(folder), { force: true });
  const log = openSync(join(folder, "log"), "a");
  try {
    const child = spawn(process.execPath, [...nodeFlags, ...command, "--announce", announceFile(folder)], {
      detached: true,
      stdio: ["ignore", log, log],
      cwd: folder,
      env: Object.fromEntries(
        Object.entries(process.env).filter(([name]) => passedVariables.includes(name) || passedFamilies.test(name)),
      ),
    });
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", reject);
    });
    child.unref();
    const { pid } = child;
    if (pid === undefined) throw new Error("it has no process id");
    await writeJson(processFile(folder), { pid, startedAt: new Date().toISOString() });
    return pid;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EspalierError("UNAVAILABLE", `${label} can not be started: ${reason}`, { cause });
  } finally {
    closeSync(log);
  }
}

/**
 * SIGTERM, then SIGKILL after `graceSeconds`; resolves when the process is gone. Stopping what does not run is success. A router takes
 * SIGINT for an end without a successor. Those that gave their place away end with it; without a grace they are left to what they answer.
 */
export async function stopServing(
  folder: string,
  graceSeconds: number,
  first: "SIGTERM" | "SIGINT" = "SIGTERM",
): Promise<void> {
  const pids = new Set(await livingPids(folder));
  for (const pid of graceSeconds > 0 ? await replacedPids(folder) : []) if (await isOurs(pid, folder)) pids.add(pid);
  await Promise.all([...pids].map((pid) => stopProcess(pid, folder, graceSeconds, first)));
}

async function stopProcess(pid: number, folder: string, graceSeconds: number, first: NodeJS.Signals): Promise<void> {
  signal(pid, graceSeconds > 0 ? first : "SIGKILL");
  const deadline = Date.now() + graceSeconds * 1000;
  let killed = graceSeconds === 0;
  while (await isOurs(pid, folder)) {
    if (!killed && Date.now() >= deadline) {
      signal(pid, "SIGKILL");
      killed = true;
    }
    await delay(pollMilliseconds);
  }
}

/** SIGKILL goes to all that the process started, which lies in its group: it can not stop them itself any more. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(name === "SIGKILL" ? -pid : pid, name);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/**
 * A process that a control plane started and was killed before it noted it: nothing but its command line tells of it until it announces
 * itself, and two would serve under one name.
 */
async function strayPid(folder: string): Promise<number | undefined> {
  const wanted = announceFile(folder);
  const replaced = await replacedPids(folder);
  for (const { pid, words } of await commandLines()) {
    if (pid === process.pid || !words.includes(wanted) || replaced.includes(pid)) continue;
    await writeJson(processFile(folder), { pid, startedAt: new Date().toISOString() });
    return pid;
  }
  return undefined;
}

async function replacedPids(folder: string): Promise<number[]> {
  const pids = await readJson(replacedFile(folder));
  return Array.isArray(pids) ? pids.filter((pid) => typeof pid === "number") : [];
}

async function commandLines(): Promise<{ pid: number; words: string | readonly string[] }[]> {
  if (process.platform !== "linux") {
    const { stdout } = await run("ps", ["-ww", "-axo", "pid=,command="], { maxBuffer: 16 * 1024 * 1024 });
    return stdout.split("\n").map((line) => ({ pid: Number.parseInt(line, 10), words: line }));
  }
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  return Promise.all(
    pids.map(async (pid) => {
      // One that ended meanwhile has none.
      const text = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      return { pid, words: text.split("\0") };
    }),
  );
}

/** Both files may name a living process: a control plane that was killed between start and note leaves only the announcement. */
async function livingPids(folder: string): Promise<number[]> {
  const files = await Promise.all([readJson(processFile(folder)), readJson(announceFile(folder))]);
  const pids = new Set(files.map((file) => (file as { pid?: unknown } | undefined)?.pid));
  const living: number[] = [];
  for (const pid of pids) if (typeof pid === "number" && (await isOurs(pid, folder))) living.push(pid);
  return living;
}

/** A process number is reused, but not together with a command line that names this folder's announcement. */
async function isOurs(pid: number, folder: string): Promise<boolean> {
  const wanted = announceFile(folder);
  try {
    if (process.platform === "linux") {
      return (await readFile(`/proc/${pid}/cmdline`, "utf8")).split("\0").includes(wanted);
    }
    return (await run("ps", ["-ww", "-o", "command=", "-p", String(pid)])).stdout.includes(wanted);
  } catch {
    return false;
  }
}

function announcedError(
  error: { code: string; message: string; at?: string | undefined; hint?: string | undefined },
  label: string,
): EspalierError {
  const code: ErrorCode = error.code in errorTable ? (error.code as ErrorCode) : "INTERNAL";
  return new EspalierError(code, `${label}: ${error.message}`, {
    ...(error.at === undefined ? {} : { at: error.at }),
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}

async function logTail(folder: string): Promise<string> {
  const text = await readFile(join(folder, "log"), "utf8").catch(() => "");
  return text.trim().split("\n").slice(-5).join("\n") || "it left no log";
}
