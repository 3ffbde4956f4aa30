import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chown, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { type ErrorCode, EspalierError, errorTable } from "@espalier/core";

/** Debian's, Alpine's and Red Hat's nobody: code that a model brings never runs as root. */
const nobody = { uid: 65534, gid: 65534 };
const prefixBytes = 12;

export interface WorkerAnswer {
  header: Record<string, unknown>;
  body: Buffer;
}

/** A process with an MLflow model in memory (python/model_worker.py, which also tells its protocol), one request at a time. */
export interface ModelWorker {
  /** Errors: what the worker answered; STEP_FAILED when it died. */
  ask(header: Readonly<Record<string, unknown>>, parts: readonly Uint8Array[]): Promise<WorkerAnswer>;
  close(): Promise<void>;
}

/** Variables of ours that the model's code may see; no secret is among them. */
const passedVariables = /^(PATH|LANG|LANGUAGE|LC_.*|TZ|LD_LIBRARY_PATH|SSL_CERT_FILE|CUDA_VISIBLE_DEVICES|NVIDIA_.*)$/;

/**
 * Starts a worker and waits until its model is loaded; what it prints goes to the step's log. Errors: NOT_INSTALLED (no such Python),
 * ENVIRONMENT_FAILED (a package is missing), PERMISSION_DENIED, INVALID_DATA (MLflow can not load the model), STEP_FAILED (it died).
 */
export async function startModelWorker(python: string, modelFolder: string): Promise<ModelWorker> {
  const isRoot = process.geteuid?.() === 0;
  const scratch = await mkdtemp(join(tmpdir(), "espalier-worker-"));
  if (isRoot) await chown(scratch, nobody.uid, nobody.gid);
  const config = {
    model: modelFolder,
    parent: process.pid,
    reach: [modelFolder, dirname(dirname(python)), scratch],
    ...(isRoot ? nobody : {}),
  };
  const passed = Object.entries(process.env).filter(([name]) => passedVariables.test(name));
  const child = spawn(python, ["-I", ...(isRoot ? ["-S"] : []), workerProgram(), JSON.stringify(config)], {
    cwd: scratch,
    // The fourth is a socket pair: it has no name that others could connect to.
    stdio: ["ignore", process.stderr, process.stderr, "pipe"],
    env: {
      ...Object.fromEntries(passed),
      ...{ HOME: scratch, TMPDIR: scratch, MPLCONFIGDIR: scratch, NUMBA_CACHE_DIR: scratch },
      ...{ MLFLOW_DISABLE_TELEMETRY: "true", OMP_NUM_THREADS: "1", OPENBLAS_NUM_THREADS: "1", MKL_NUM_THREADS: "1" },
    },
  });
  try {
    await once(child, "spawn");
  } catch (cause) {
    await rm(scratch, { recursive: true, force: true });
    throw new EspalierError("NOT_INSTALLED", "The model's Python can not be started", { at: python, cause });
  }
  const line = new WorkerLine(child);
  const close = async (): Promise<void> => {
    await line.close();
    await rm(scratch, { recursive: true, force: true });
  };
  try {
    toldError((await line.next()).header["error"], modelFolder);
  } catch (error) {
    await close();
    throw error;
  }
  let id = 0;
  return {
    async ask(header, parts) {
      id += 1;
      line.send({ ...header, id }, parts);
      const answer = await line.next();
      toldError(answer.header["error"], modelFolder);
      return answer;
    },
    close,
  };
}

/** Beside this program where it is built, in `python/` of a checkout. */
function workerProgram(): string {
  const path = import.meta.url.endsWith(".ts") ? "../../../../python/model_worker.py" : "./model_worker.py";
  return fileURLToPath(new URL(path, import.meta.url));
}

function toldError(told: unknown, modelFolder: string): void {
  if (told === undefined) return;
  const { code, message } = told as { code: string; message: string };
  throw new EspalierError(code in errorTable ? (code as ErrorCode) : "INVALID_DATA", `The Python model: ${message}`, {
    at: modelFolder,
  });
}

/** Frames over the worker's socket. */
class WorkerLine {
  readonly #child: ChildProcess;
  readonly #socket: Duplex;
  readonly #exited: Promise<void>;
  #chunks: Buffer[] = [];
  #size = 0;
  #answers: WorkerAnswer[] = [];
  #waiting: { resolve(answer: WorkerAnswer): void; reject(error: unknown): void } | undefined;
  #died: EspalierError | undefined;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#socket = child.stdio[3] as Duplex;
    this.#socket.on("data", (chunk: Buffer) => this.#take(chunk));
    // A broken pipe is told by the end of the process, which follows.
    this.#socket.on("error", () => undefined);
    this.#exited = new Promise((resolve) => {
      child.once("close", (code, signal) => {
        const how = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
        this.#died = new EspalierError("STEP_FAILED", `The model's Python process ${how}`, {
          hint: "The log of the step has what it printed.",
        });
        this.#waiting?.reject(this.#died);
        this.#waiting = undefined;
        resolve();
      });
    });
  }

  send(header: Readonly<Record<string, unknown>>, parts: readonly Uint8Array[]): void {
    const text = Buffer.from(JSON.stringify(header));
    const prefix = Buffer.alloc(prefixBytes);
    prefix.writeUInt32LE(text.length, 0);
    prefix.writeBigUInt64LE(BigInt(parts.reduce((sum, part) => sum + part.byteLength, 0)), 4);
    this.#socket.cork();
    for (const piece of [prefix, text, ...parts]) this.#socket.write(piece);
    this.#socket.uncork();
  }

  next(): Promise<WorkerAnswer> {
    const answer = this.#answers.shift();
    if (answer !== undefined) return Promise.resolve(answer);
    if (this.#died !== undefined) return Promise.reject(this.#died);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  async close(): Promise<void> {
    this.#socket.end();
    this.#child.kill("SIGTERM");
    await this.#exited;
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    while (this.#size >= prefixBytes) {
      const whole = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
      this.#chunks = [whole];
      const headerEnd = prefixBytes + whole.readUInt32LE(0);
      const end = headerEnd + Number(whole.readBigUInt64LE(4));
      if (whole.length < end) return;
      const header = JSON.parse(whole.subarray(prefixBytes, headerEnd).toString("utf8")) as WorkerAnswer["header"];
      this.#chunks = [whole.subarray(end)];
      this.#size = whole.length - end;
      const answer = { header, body: whole.subarray(headerEnd, end) };
      if (this.#waiting === undefined) this.#answers.push(answer);
      else this.#waiting.resolve(answer);
      this.#waiting = undefined;
    }
  }
}
