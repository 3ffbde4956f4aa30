import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";
import { addMatches } from "../pattern/sqlite-matches.ts";
import type { ReaderAnswer, ReaderQuestion, ReaderReply } from "./reader-protocol.ts";

/**
 * The thread of a reader: one read-only connection that answers one query after the other, off the event loop. It imports little beyond
 * Node's own modules, so that a thread costs some 20 MB and not 70.
 */
const database = new DatabaseSync(String(workerData), { readOnly: true, timeout: 5000 });
// As the writer's connection has them: both must answer alike.
database.exec("PRAGMA case_sensitive_like = ON; PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY");
addMatches(database);

const prepared = new Map<string, StatementSync>();
const preparedLimit = 200;
const longestPrepared = 16_384;

parentPort?.on("message", (question: ReaderQuestion) => {
  parentPort?.postMessage(answer(question));
});

function answer(question: ReaderQuestion): ReaderReply {
  try {
    return read(question);
  } catch (error) {
    const { message, code, errcode } = error as { message: string; code?: string; errcode?: number };
    return { id: question.id, message, code, errcode };
  }
}

function read({ id, sql, parameters }: ReaderQuestion): ReaderAnswer {
  const statement = prepare(sql);
  const columns = statement.columns().map(({ name }) => name);
  const values = parameters as SQLInputValue[];
  try {
    statement.setReadBigInts(false);
    return { id, columns, rows: statement.all(...values) as unknown as unknown[][] };
  } catch (error) {
    // An integer beyond 2^53: all are then read as bigint, which costs several times more, and narrowed again.
    if (!(error instanceof RangeError)) throw error;
    statement.setReadBigInts(true);
    const rows = statement.all(...values) as unknown as unknown[][];
    for (const row of rows) narrowIntegers(row);
    return { id, columns, rows };
  }
}

function prepare(sql: string): StatementSync {
  const known = prepared.get(sql);
  if (known !== undefined) return known;
  const statement = database.prepare(sql);
  statement.setReturnArrays(true);
  if (sql.length > longestPrepared) return statement;
  const oldest = prepared.keys().next().value;
  if (prepared.size >= preparedLimit && oldest !== undefined) prepared.delete(oldest);
  prepared.set(sql, statement);
  return statement;
}

function narrowIntegers(row: unknown[]): void {
  for (const [index, value] of row.entries()) {
    if (typeof value === "bigint" && value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER) {
      row[index] = Number(value);
    }
  }
}
