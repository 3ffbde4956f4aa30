import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chown, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type ErrorCode, EspalierError, errorTable } from "@espalier/core";
import { log } from "../log.ts";
import { encodeFrame, type Frame, frameReader } from "./frames.ts";
import { environmentFolder, type WorkerIdentity } from "./identity.ts";
import { followLines } from "./log-lines.ts";
import { residentBytes } from "./memory.ts";

export interface WorkerOptions {
  /** The environment's Python. */
  python: string;
  /** MLmodel folder. */
  modelFolder: string;
  identity: WorkerIdentity;
  /** Resident memory beyond which the worker is killed; writable memory is bounded by the system too. */
  memoryBytes: number;
  startSeconds: number;
  /** Threads of numerical libraries. */
  threads: number;
  /** Ends a worker that is still loading its model. */
  signal?: AbortSignal;
}

/** What a worker says once its model is loaded. */
export interface WorkerDescription {
  mlflow: string;
  /** Names that a model without a signature was fitted with. */
  columns: string[] | null;
}

/** A process with the model in memory, one request at a time. */
export interface Worker {
  readonly pid: number;
  readonly description: WorkerDescription;
  /** Resolves when the process is gone, with the reason. */
  readonly ended: Promise<string>;
  /**
   * Errors: what the worker answered (INVALID_INPUT, UNSUPPORTED, TOO_LARGE), TIMEOUT when it took too long, for which it is killed,
   * and `WorkerDied`.
   */
  ask(header: Readonly<Record<string, unknown>>, parts: readonly Uint8Array[], timeoutSeconds: number): Promise<Frame>;
  /** Ends it: it is asked to, and killed with its children after `graceSeconds`. */
  stop(graceSeconds: number): Promise<void>;
}

/** The process ended while it had the request. */
export class WorkerDied extends Error {}

/** Variables of ours that a worker may see; no secret is among them. */
const passedVariables =
  /^(PATH|LANG|LANGUAGE|LC_.*|TZ|LD_LIBRARY_PATH|SSL_CERT_FILE|CUDA_VISIBLE_DEVICES|NVIDIA_.*|MLFLOW_(SCORING_SERVER|DISABLE)_.*)$/;

/** Beside this program where it is built, in `python/` of a checkout. */
function workerProgram(): string {
  const path = import.meta.url.endsWith(".ts") ? "../../../../python/model_worker.py" : "./model_worker.py";
  return fileURLToPath(new URL(path, import.meta.url));
}

/**
 * Starts a worker and waits until its model is loaded. Errors: NOT_INSTALLED (no such Python), PERMISSION_DENIED, ENVIRONMENT_FAILED (a
 * package is missing), INVALID_DATA (MLflow can not load the model), TIMEOUT, UNAVAILABLE (it died).
 */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const folder = await privateFolder(options.identity);
  let child: ChildProcess;
  try {
    child = await spawned(options, folder);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  return connect(child, folder, options);
}

/** Home and scratch space; libraries that cache beside themselves find no other place that they may write to. */
async function privateFolder({ user }: WorkerIdentity): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "espalier-worker-"));
  if (user !== undefined) await chown(folder, user.uid, user.gid);
  return folder;
}

function spawned(options: WorkerOptions, folder: string): Promise<ChildProcess> {
  const { python, modelFolder, identity, memoryBytes, threads } = options;
  const config = {
    model: modelFolder,
    parent: process.pid,
    memory_bytes: memoryBytes,
    reach: [modelFolder, environmentFolder(python), folder],
    ...identity.user,
  };
  const child = spawn(
    python,
    // -S: as root, nothing of the environment's packages is run.
    ["-I", ...(identity.user === undefined ? [] : ["-S"]), workerProgram(), JSON.stringify(config)],
    {
      cwd: folder,
      // A process group of its own, so that what the model starts goes with it.
      detached: true,
      // The fourth is a socket pair: it has no name that others could connect to.
      stdio: ["ignore", "pipe", "pipe", "pipe"],
      env: environmentOf(folder, threads),
    },
  );
  return new Promise((resolve, reject) => {
    child.once("spawn", () => resolve(child));
    child.once("error", (cause) =>
      reject(
        new EspalierError("NOT_INSTALLED", `The model's Python can not be started: ${cause.message}`, {
          at: python,
          cause,
          hint: "--python (or ESPALIER_MODEL_PYTHON) names the `bin/python` of an environment with the model's requirements.",
        }),
      ),
    );
  });
}

function environmentOf(folder: string, threads: number): NodeJS.ProcessEnv {
  const passed = Object.entries(process.env).filter(([name]) => passedVariables.test(name));
  return {
    ...Object.fromEntries(passed),
    HOME: folder,
    TMPDIR: folder,
    MPLCONFIGDIR: folder,
    NUMBA_CACHE_DIR: folder,
    MLFLOW_DISABLE_TELEMETRY: "true",
    OMP_NUM_THREADS: String(threads),
    OPENBLAS_NUM_THREADS: String(threads),
    MKL_NUM_THREADS: String(threads),
  };
}

interface Waiting {
  resolve(frame: Frame): void;
  reject(error: unknown): void;
}

function connect(child: ChildProcess, folder: string, options: WorkerOptions): Promise<Worker> {
  const pid = child.pid as number;
  const socket = child.stdio[3] as Duplex;
  const tail = followLines(child, (line) => log("info", line, { source: "python-worker", workerPid: pid }));
  let waiting: Waiting | undefined;
  let nextId = 0;
  let reason: string | undefined;

  const kill = (why: string): void => {
    reason ??= why;
    killGroup(pid);
  };
  const read = frameReader((frame) => {
    const current = waiting;
    waiting = undefined;
    current?.resolve(frame);
  });
  socket.on("data", (chunk: Buffer) => {
    try {
      read(chunk);
    } catch (error) {
      kill(error instanceof Error ? error.message : String(error));
    }
  });
  // A broken pipe is told by the end of the process, which follows.
  socket.on("error", () => undefined);

  const watch = setInterval(() => {
    const resident = residentBytes(pid);
    if (resident !== undefined && resident > options.memoryBytes) {
      kill(`it held ${resident} bytes of memory, more than its limit of ${options.memoryBytes}`);
    }
  }, 1000).unref();

  const ended = new Promise<string>((resolve) => {
    // What it has started and left behind goes first: it may hold the pipes open that "close" waits for.
    child.once("exit", () => killGroup(pid));
    void gone(child).then(([code, signal]) => {
      clearInterval(watch);
      const how = reason ?? (signal === null ? `it ended with exit code ${code}` : `it was ended by ${signal}`);
      const lines = tail();
      const current = waiting;
      waiting = undefined;
      current?.reject(new WorkerDied(lines === "" ? how : `${how}: ${lines}`));
      void rm(folder, { recursive: true, force: true }).then(
        () => resolve(how),
        () => resolve(how),
      );
    });
  });

  function exchange(send: () => void, timeoutSeconds: number, late: () => EspalierError): Promise<Frame> {
    return new Promise<Frame>((resolve, reject) => {
      let lateError: EspalierError | undefined;
      const timer = setTimeout(() => {
        lateError = late();
        kill(lateError.message);
      }, timeoutSeconds * 1000);
      waiting = {
        resolve(frame) {
          clearTimeout(timer);
          resolve(frame);
        },
        reject(error) {
          clearTimeout(timer);
          reject(lateError ?? error);
        },
      };
      if (child.exitCode !== null || child.signalCode !== null) {
        waiting = undefined;
        clearTimeout(timer);
        reject(new WorkerDied("it had ended before"));
        return;
      }
      send();
    });
  }

  async function ask(
    header: Readonly<Record<string, unknown>>,
    parts: readonly Uint8Array[],
    timeoutSeconds: number,
  ): Promise<Frame> {
    const id = ++nextId;
    const frame = await exchange(
      () => {
        socket.cork();
        for (const piece of encodeFrame({ ...header, id }, parts)) socket.write(piece);
        socket.uncork();
      },
      timeoutSeconds,
      () =>
        new EspalierError("TIMEOUT", `The model took longer than ${timeoutSeconds} s on these rows`, {
          hint: "Send fewer rows in one request, or start the server with a larger --python-timeout-seconds.",
        }),
    );
    if (frame.header["id"] !== id) {
      kill("it answered another request than it was asked");
      throw new WorkerDied("it answered another request than it was asked");
    }
    const told = frame.header["error"];
    if (told !== undefined) throw toldError(told);
    return frame;
  }

  async function stop(graceSeconds: number): Promise<void> {
    reason ??= "it was stopped";
    socket.end();
    const timer = setTimeout(() => killGroup(pid), graceSeconds * 1000);
    await ended;
    clearTimeout(timer);
  }

  const giveUp = (): void => kill("the server stops");
  options.signal?.addEventListener("abort", giveUp);
  if (options.signal?.aborted === true) giveUp();
  const started = exchange(
    () => undefined,
    options.startSeconds,
    () => tooSlow(options),
  ).finally(() => options.signal?.removeEventListener("abort", giveUp));
  return started.then(
    (frame) => {
      const told = frame.header["error"];
      if (told !== undefined) {
        return stop(5).then(() => {
          throw startError(told, options);
        });
      }
      return { pid, description: frame.header as unknown as WorkerDescription, ended, ask, stop };
    },
    async (error) => {
      await ended;
      if (!(error instanceof WorkerDied)) throw error;
      throw new EspalierError("UNAVAILABLE", `The Python worker did not start: ${error.message}`, {
        at: options.python,
      });
    },
  );
}

/** Ended, and all that it printed read; whoever left its process group may keep a pipe open for ever, and is not waited for. */
async function gone(child: ChildProcess): Promise<[number | null, NodeJS.Signals | null]> {
  const closed = once(child, "close");
  const [code, signal] = await once(child, "exit");
  await Promise.race([closed, delay(1000, undefined, { ref: false })]);
  return [code, signal];
}

/** The group's number is the process's, which leads it. Nobody left (ESRCH), or only the dead (EPERM on macOS), is as wanted. */
function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && (error.code === "ESRCH" || error.code === "EPERM"))) throw error;
  }
}

function tooSlow({ startSeconds }: WorkerOptions): EspalierError {
  return new EspalierError("TIMEOUT", `The Python worker did not load its model within ${startSeconds} s`, {
    hint: "A large model may need a larger --python-start-seconds.",
  });
}

function toldError(told: unknown): EspalierError {
  const { code, message } = told as { code: string; message: string };
  const known: ErrorCode = code in errorTable ? (code as ErrorCode) : "INVALID_INPUT";
  return new EspalierError(
    known,
    known === "INVALID_INPUT" ? `The model does not accept these values: ${message}` : message,
  );
}

function startError(told: unknown, { python, modelFolder }: WorkerOptions): EspalierError {
  const { code, message } = told as { code: string; message: string };
  if (code === "ENVIRONMENT_FAILED") {
    return new EspalierError("ENVIRONMENT_FAILED", `The Python model can not be loaded: ${message}`, {
      at: python,
      hint: "The environment must hold mlflow and what the model's requirements.txt names; add what is missing when the model is logged (`extra_pip_requirements`).",
    });
  }
  if (code === "PERMISSION_DENIED") {
    return new EspalierError("PERMISSION_DENIED", `The Python model can not be loaded: ${message}`, {
      at: modelFolder,
      hint: "Let others read the model's and the environment's folders, or start the server as an ordinary user.",
    });
  }
  return new EspalierError("INVALID_DATA", `MLflow can not load the model: ${message}`, {
    at: modelFolder,
    hint: "`mlflow models predict -m FOLDER` in the same environment tells more.",
  });
}
