import { type ChildProcess, spawn } from "node:child_process";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type EngineOptions, type ErrorCode, EspalierError, errorTable, type Json } from "@espalier/core";
import { optunaInstallLine } from "./optuna-environment.ts";

type Propose = NonNullable<EngineOptions["proposeTrial"]>;

export interface TrialProposer {
  propose: Propose;
  close(): Promise<void>;
}

interface Answer {
  values?: Record<string, Json>;
  error?: { code: string; message: string };
}

/** Longer than this nobody waits for one proposal; a thousand trials are told in a fifth of a second. */
const answerMilliseconds = 120_000;
/** A process without work is ended: it holds 100 MB. */
const idleMilliseconds = 60_000;

/**
 * Asks Optuna (python/propose_trials.py, which also tells the protocol). One process serves all searches, one question at a time; since it
 * keeps nothing, one that dies is replaced at the next question, and the question is put once more.
 */
export function createTrialProposer(python: () => Promise<string>): TrialProposer {
  let line: Promise<OptunaLine> | undefined;
  let last: Promise<unknown> = Promise.resolve();
  let idle: NodeJS.Timeout | undefined;

  const end = async (): Promise<void> => {
    clearTimeout(idle);
    const open = line;
    line = undefined;
    await (await open?.catch(() => undefined))?.close();
  };
  const askOnce = async (question: string): Promise<Record<string, Json>> => {
    line ??= python().then(startOptuna);
    try {
      return valuesOf(await (await line).ask(question));
    } catch (error) {
      await end();
      throw error;
    }
  };
  const ask = async (question: string, signal: AbortSignal): Promise<Record<string, Json>> => {
    signal.throwIfAborted();
    clearTimeout(idle);
    try {
      return await askOnce(question).catch((error: unknown) => {
        if (!(error instanceof OptunaDied)) throw error;
        signal.throwIfAborted();
        return askOnce(question);
      });
    } finally {
      idle = setTimeout(() => void end(), idleMilliseconds).unref();
    }
  };
  return {
    propose({ search, objective, seed = 0 }, told, signal) {
      const question = JSON.stringify({ search, seed, direction: objective.direction, told });
      const answer = last.then(() => ask(question, signal));
      last = answer.catch(() => undefined);
      return answer;
    },
    close: end,
  };
}

function valuesOf({ values, error }: Answer): Record<string, Json> {
  if (values !== undefined) return values;
  const code = error !== undefined && error.code in errorTable ? (error.code as ErrorCode) : "STEP_FAILED";
  throw new EspalierError(code, `Optuna: ${error?.message ?? "an answer without values"}`);
}

class OptunaDied extends EspalierError {}

interface OptunaLine {
  ask(question: string): Promise<Answer>;
  close(): Promise<void>;
}

/** Variables that Python itself reads; no secret of ours is among them. */
const passedVariables = /^(PATH|HOME|LANG|LC_.*|TZ|TMPDIR|LD_LIBRARY_PATH)$/;

async function startOptuna(python: string): Promise<OptunaLine> {
  const path = import.meta.url.endsWith(".ts") ? "../../../../python/propose_trials.py" : "./propose_trials.py";
  const program = fileURLToPath(new URL(path, import.meta.url));
  const passed = Object.entries(process.env).filter(([name]) => passedVariables.test(name));
  const child = spawn(python, ["-I", program], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...Object.fromEntries(passed), OMP_NUM_THREADS: "1", OPENBLAS_NUM_THREADS: "1" },
  });
  const line = lineOf(child, python);
  const { error } = await line.next();
  if (error === undefined) return line;
  await line.close();
  throw new EspalierError("NOT_INSTALLED", `${python} has no Optuna: ${error.message}`, {
    hint: `\`${optunaInstallLine(python)}\``,
  });
}

function lineOf(child: ChildProcess, python: string): OptunaLine & { next(): Promise<Answer> } {
  let complaints = "";
  let waiting: PromiseWithResolvers<Answer> | undefined;
  let died: EspalierError | undefined;
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    complaints = (complaints + text).slice(-4096);
  });
  // A broken pipe is told by the end of the process, which follows.
  child.stdin?.on("error", () => undefined);
  const ended = new Promise<void>((resolve) => {
    const over = (error: EspalierError): void => {
      died ??= error;
      waiting?.reject(died);
      waiting = undefined;
      resolve();
    };
    child.once("error", (cause) => {
      const hint = "Name a Python 3 that has Optuna in ESPALIER_OPTUNA_PYTHON.";
      over(new EspalierError("NOT_INSTALLED", `${python} can not be started`, { cause, hint }));
    });
    child.once("close", (code, signal) => {
      const details = { stderr: complaints };
      over(new OptunaDied("STEP_FAILED", `Optuna's process ended (${signal ?? code})`, { details }));
    });
  });
  const lines: Interface = createInterface({ input: child.stdout as NonNullable<ChildProcess["stdout"]> });
  lines.on("line", (text) => {
    try {
      waiting?.resolve(JSON.parse(text) as Answer);
    } catch {
      waiting?.reject(
        new EspalierError("STEP_FAILED", `Optuna's process printed what is no answer: ${text.slice(0, 200)}`),
      );
    }
    waiting = undefined;
  });
  const next = async (): Promise<Answer> => {
    if (died !== undefined) throw died;
    waiting = Promise.withResolvers<Answer>();
    const late = setTimeout(() => child.kill("SIGKILL"), answerMilliseconds);
    try {
      return await waiting.promise;
    } finally {
      clearTimeout(late);
    }
  };
  return {
    next,
    ask(question) {
      const answer = next();
      child.stdin?.write(`${question}\n`);
      return answer;
    },
    async close() {
      child.stdin?.end();
      child.kill("SIGTERM");
      await ended;
    },
  };
}
