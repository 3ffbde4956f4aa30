import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { EspalierError } from "@espalier/core";
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";
import { fromSqliteError, isBusy } from "./sqlite-errors.ts";

export interface SqliteOptions {
  /** FULL survives a power cut, NORMAL (the default) survives kill -9 of the process. */
  synchronous?: "NORMAL" | "FULL";
  /** How long a statement waits for another connection's lock. Default 5000. */
  busyTimeoutMilliseconds?: number;
}

/** Kysely on node:sqlite: one connection, its users taking turns, so that a transaction is never interleaved. */
export function sqliteDialect(path: string, options: SqliteOptions = {}): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new NodeSqliteDriver(path, options),
    createIntrospector: (kysely) => new SqliteIntrospector(kysely),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

/** Switching to WAL takes an exclusive lock, and there is nobody in this process yet whom waiting would hold up. */
const openingTimeoutMilliseconds = 5000;

class NodeSqliteDriver implements Driver {
  readonly #path: string;
  readonly #options: SqliteOptions;
  #connection: NodeSqliteConnection | undefined;
  #busy = false;
  readonly #waiting: (() => void)[] = [];

  constructor(path: string, options: SqliteOptions) {
    this.#path = path;
    this.#options = options;
  }

  async init(): Promise<void> {
    try {
      const database = new DatabaseSync(this.#path, { timeout: openingTimeoutMilliseconds });
      // LIKE is case-sensitive in PostgreSQL; both databases must answer alike.
      database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${this.#options.synchronous ?? "NORMAL"};
        PRAGMA case_sensitive_like = ON; PRAGMA foreign_keys = ON; PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY`);
      // Bulk writes touch the same pages over and over: ten times fewer checkpoints write twice the rows a second, for a log of up to 40 MB.
      database.exec("PRAGMA wal_autocheckpoint = 10000");
      // SQLite's own waiting would stop the event loop, and with it a second connection of this process that holds the lock.
      database.exec("PRAGMA busy_timeout = 0");
      this.#connection = new NodeSqliteConnection(database, this.#path, this.#options.busyTimeoutMilliseconds ?? 5000);
    } catch (error) {
      throw fromSqliteError(error, this.#path);
    }
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    if (this.#busy) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#busy = true;
    if (this.#connection === undefined) throw new EspalierError("UNAVAILABLE", "The record is closed");
    return this.#connection;
  }

  async releaseConnection(): Promise<void> {
    const next = this.#waiting.shift();
    // The flag stays up when somebody waits: a newcomer must not slip in before the one that was woken.
    if (next === undefined) this.#busy = false;
    else next();
  }

  async beginTransaction(): Promise<void> {
    // IMMEDIATE: a transaction that reads first and writes later must not fail halfway on somebody else's write.
    await this.#connection?.execute("BEGIN IMMEDIATE");
  }

  async commitTransaction(): Promise<void> {
    await this.#connection?.execute("COMMIT");
  }

  async rollbackTransaction(): Promise<void> {
    // A full disk rolls back by itself; a second ROLLBACK would hide that error behind "no transaction is active".
    if (this.#connection?.inTransaction === true) await this.#connection.execute("ROLLBACK");
  }

  async destroy(): Promise<void> {
    this.#connection?.close();
    this.#connection = undefined;
  }
}

interface Prepared {
  statement: StatementSync;
  returnsRows: boolean;
}

const preparedLimit = 500;
/** Bulk inserts, each of its own length: preparing them is little beside running them, and they would drive out the others. */
const longestPrepared = 8192;

class NodeSqliteConnection implements DatabaseConnection {
  readonly #database: DatabaseSync;
  readonly #path: string;
  readonly #busyTimeoutMilliseconds: number;
  readonly #prepared = new Map<string, Prepared>();

  constructor(database: DatabaseSync, path: string, busyTimeoutMilliseconds: number) {
    this.#database = database;
    this.#path = path;
    this.#busyTimeoutMilliseconds = busyTimeoutMilliseconds;
  }

  get inTransaction(): boolean {
    return this.#database.isTransaction;
  }

  async execute(statement: string): Promise<void> {
    await this.#untilFree(() => this.#database.exec(statement));
  }

  executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    return this.#untilFree(() => {
      const { statement, returnsRows } = this.#prepare(query.sql);
      const parameters = query.parameters.map(toSqlite);
      if (!returnsRows) return { rows: [], numAffectedRows: BigInt(statement.run(...parameters).changes) };
      const rows = statement.all(...parameters);
      for (const row of rows) narrowIntegers(row);
      return { rows: rows as Row[] };
    });
  }

  /** Tries again while another connection holds the lock. A statement that found it taken has done nothing. */
  async #untilFree<T>(work: () => T): Promise<T> {
    for (let waited = 0, pause = 1; ; waited += pause, pause = Math.min(pause * 2, 50)) {
      try {
        return work();
      } catch (error) {
        if (!isBusy(error) || waited >= this.#busyTimeoutMilliseconds) throw fromSqliteError(error, this.#path);
      }
      await delay(pause);
    }
  }

  async *streamQuery<Row>(query: CompiledQuery): AsyncIterableIterator<QueryResult<Row>> {
    // Not from the cache: a cached statement that is iterated here could be run again by another query.
    const statement = this.#database.prepare(query.sql);
    statement.setReadBigInts(true);
    for (const row of statement.iterate(...query.parameters.map(toSqlite))) {
      narrowIntegers(row);
      yield { rows: [row as Row] };
    }
  }

  close(): void {
    this.#prepared.clear();
    if (this.#database.isOpen) this.#database.close();
  }

  #prepare(text: string): Prepared {
    const known = this.#prepared.get(text);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(text);
    statement.setReadBigInts(true);
    const prepared = { statement, returnsRows: statement.columns().length > 0 };
    if (text.length > longestPrepared) return prepared;
    if (this.#prepared.size >= preparedLimit) {
      const oldest = this.#prepared.keys().next().value;
      if (oldest !== undefined) this.#prepared.delete(oldest);
    }
    this.#prepared.set(text, prepared);
    return prepared;
  }
}

/** Integers beyond 2^53 stay bigint, all others become numbers: the same rule as for PostgreSQL. */
function narrowIntegers(row: Record<string, unknown>): void {
  for (const key in row) {
    const value = row[key];
    if (typeof value === "bigint" && value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER) {
      row[key] = Number(value);
    }
  }
}

export function toSqlite(value: unknown): SQLInputValue {
  if (typeof value === "boolean") return value ? 1 : 0;
  if (value === undefined) return null;
  if (typeof value === "string" && value.includes("\0")) {
    throw new EspalierError("INVALID_INPUT", "A text holds a NUL character, which PostgreSQL can not store");
  }
  return value as SQLInputValue;
}
