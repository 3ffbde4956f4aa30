import { Worker } from "node:worker_threads";
import { EspalierError } from "@espalier/core";
import { entryPoint } from "@espalier/host";
import { fromSqliteError } from "../dialect/sqlite-errors.ts";
import type { ReaderAnswer, ReaderQuestion, ReaderReply } from "./reader-protocol.ts";

/** Beyond it the thread ends, and with it one query, instead of the whole process. */
const mostHeapMegabytes = 1024;

/** The thread ended under its query; asking another one is all there is to do. */
export class ReaderCrashed extends Error {}

/** One worker thread with a read-only connection. It answers one query at a time; its user waits for one before the next. */
export interface ReaderThread {
  /** Errors: those of SQLite, mapped; ReaderCrashed. */
  ask(sql: string, parameters: readonly unknown[]): Promise<ReaderAnswer>;
  /** False once the thread has ended. */
  isAlive(): boolean;
  /** Ends the thread; a query under way fails with UNAVAILABLE. */
  close(): Promise<void>;
}

export function startReaderThread(path: string): ReaderThread {
  const worker = new Worker(entryPoint("record-reader"), {
    workerData: path,
    // A test runner's or a debugger's own flags are not for this thread.
    execArgv: [],
    name: "record-reader",
    resourceLimits: { maxOldGenerationSizeMb: mostHeapMegabytes },
  });
  let alive = true;
  let closing = false;
  let numberOfQuestions = 0;
  let waiting: { id: number; resolve(answer: ReaderAnswer): void; reject(error: unknown): void } | undefined;

  // Only while somebody waits for an answer may the thread keep the process alive.
  worker.unref();
  worker.on("message", (reply: ReaderReply) => {
    if (waiting === undefined || waiting.id !== reply.id) return;
    const { resolve, reject } = waiting;
    waiting = undefined;
    worker.unref();
    if ("rows" in reply) resolve(reply);
    else reject(fromSqliteError(Object.assign(new Error(reply.message), reply), path));
  });
  const end = (error: unknown): void => {
    alive = false;
    const asked = waiting;
    waiting = undefined;
    asked?.reject(error);
  };
  worker.on("error", (error) => {
    // Opening failed (the message tells why), or its memory ran out.
    const isSqlite = "errcode" in error;
    end(isSqlite ? fromSqliteError(error, path) : new ReaderCrashed(error.message, { cause: error }));
  });
  worker.on("exit", (code) => {
    end(closing ? closed() : new ReaderCrashed(`The reader's thread ended with code ${code}`));
  });

  return {
    isAlive: () => alive,
    ask: (sql, parameters) =>
      new Promise((resolve, reject) => {
        if (!alive) {
          reject(closing ? closed() : new ReaderCrashed("The reader's thread has ended"));
          return;
        }
        numberOfQuestions += 1;
        const question: ReaderQuestion = { id: numberOfQuestions, sql, parameters };
        waiting = { id: question.id, resolve, reject };
        worker.ref();
        worker.postMessage(question);
      }),
    close: async () => {
      closing = true;
      await worker.terminate();
      end(closed());
    },
  };
}

export function closed(): EspalierError {
  return new EspalierError("UNAVAILABLE", "The record is closed");
}
