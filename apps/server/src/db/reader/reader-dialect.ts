import { EspalierError } from "@espalier/core";
import {
  type AbortableOperationOptions,
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";
import { toSqlite } from "../dialect/sqlite-dialect.ts";
import type { ReaderAnswer } from "./reader-protocol.ts";
import { closed, ReaderCrashed, type ReaderThread, startReaderThread } from "./reader-thread.ts";

/** Two, so that one long search holds up nobody; each is started when it is first needed. */
const mostThreads = 2;

/** Then a thread ends and gives its memory back; the next query starts another, in a tenth of a second. */
const idleMilliseconds = 60_000;

/** Kysely on read-only connections in worker threads. Each query sees what was committed before it began. No transactions. */
export function readerDialect(path: string, idle = idleMilliseconds): Dialect {
  return {
    createAdapter: () => new ReaderAdapter(),
    createDriver: () => new ReaderDriver(path, idle),
    createIntrospector: (kysely) => new SqliteIntrospector(kysely),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

class ReaderAdapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true;
  }
}

class ReaderDriver implements Driver {
  readonly #path: string;
  readonly #idleMilliseconds: number;
  readonly #connections: ReaderConnection[] = [];
  readonly #idle: ReaderConnection[] = [];
  readonly #waiting: ((connection: ReaderConnection | undefined) => void)[] = [];
  #isClosed = false;

  constructor(path: string, idleMilliseconds: number) {
    this.#path = path;
    this.#idleMilliseconds = idleMilliseconds;
  }

  async init(): Promise<void> {
    // Nothing is started before the first query.
  }

  async acquireConnection({ signal }: AbortableOperationOptions = {}): Promise<DatabaseConnection> {
    if (this.#isClosed) throw closed();
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    if (this.#connections.length < mostThreads) {
      const connection = new ReaderConnection(this.#path, this.#idleMilliseconds);
      this.#connections.push(connection);
      return connection;
    }
    return this.#nextFree(signal);
  }

  /** Who has given up waits no longer: the connection goes to the next. */
  #nextFree(signal: AbortSignal | undefined): Promise<ReaderConnection> {
    return new Promise((resolve, reject) => {
      const give = (connection: ReaderConnection | undefined): void => {
        signal?.removeEventListener("abort", leave);
        if (connection === undefined) reject(closed());
        else resolve(connection);
      };
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(give), 1);
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", leave, { once: true });
      this.#waiting.push(give);
    });
  }

  async releaseConnection(connection: DatabaseConnection): Promise<void> {
    const next = this.#waiting.shift();
    if (next !== undefined) next(connection as ReaderConnection);
    else this.#idle.push(connection as ReaderConnection);
  }

  beginTransaction(): Promise<void> {
    return noTransaction();
  }

  commitTransaction(): Promise<void> {
    return noTransaction();
  }

  rollbackTransaction(): Promise<void> {
    return noTransaction();
  }

  async destroy(): Promise<void> {
    this.#isClosed = true;
    for (const give of this.#waiting.splice(0)) give(undefined);
    await Promise.all(this.#connections.map((connection) => connection.close()));
  }
}

function noTransaction(): Promise<never> {
  return Promise.reject(new EspalierError("INTERNAL", "A reader has no transactions"));
}

class ReaderConnection implements DatabaseConnection {
  readonly #path: string;
  readonly #idleMilliseconds: number;
  #thread: ReaderThread | undefined;
  #idle: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(path: string, idleMilliseconds: number) {
    this.#path = path;
    this.#idleMilliseconds = idleMilliseconds;
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    clearTimeout(this.#idle);
    const { columns, rows } = await this.#ask(query.sql, query.parameters.map(toSqlite)).finally(() => this.#rest());
    return {
      rows: rows.map((values) => {
        const row: Record<string, unknown> = {};
        for (const [index, column] of columns.entries()) row[column] = values[index];
        return row as Row;
      }),
    };
  }

  /** A read may be repeated: a thread that ended under it is replaced once. */
  async #ask(sql: string, parameters: readonly unknown[]): Promise<ReaderAnswer> {
    try {
      return await this.#current().ask(sql, parameters);
    } catch (error) {
      if (!(error instanceof ReaderCrashed)) throw error;
    }
    try {
      return await this.#current().ask(sql, parameters);
    } catch (error) {
      if (!(error instanceof ReaderCrashed)) throw error;
      throw new EspalierError("UNAVAILABLE", "Reading the record failed twice", {
        cause: error,
        hint: "Ask for less at once: a smaller page, a narrower filter.",
      });
    }
  }

  #rest(): void {
    this.#idle = setTimeout(() => {
      void this.#thread?.close();
      this.#thread = undefined;
    }, this.#idleMilliseconds).unref();
  }

  #current(): ReaderThread {
    if (this.#isClosed) throw closed();
    if (this.#thread?.isAlive() !== true) this.#thread = startReaderThread(this.#path);
    return this.#thread;
  }

  // biome-ignore lint/correctness/useYield: it only refuses
  async *streamQuery(): AsyncIterableIterator<never> {
    throw new EspalierError("INTERNAL", "A reader answers whole pages");
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#idle);
    await this.#thread?.close();
  }
}
