import { EspalierError } from "@espalier/core";
import { type Dialect, Kysely, type RawBuilder, sql, type Transaction } from "kysely";
import { postgresDialect } from "./dialect/postgres-dialect.ts";
import { isSerializationFailure } from "./dialect/postgres-errors.ts";
import { type SqliteOptions, sqliteDialect } from "./dialect/sqlite-dialect.ts";
import { migrate } from "./migrations/migrate.ts";
import type { MirrorNames } from "./mirror-changes.ts";
import { readerDialect } from "./reader/reader-dialect.ts";
import type { RecordSchema } from "./schema/record-schema.ts";

export type RecordLocation = { sqlitePath: string } | { postgresUrl: string };

export type RecordTransaction = Transaction<RecordSchema>;

/** One project's view of the database. Every query names `projectId`. */
export interface RecordDatabase {
  kysely: Kysely<RecordSchema>;
  /**
   * For reads that may take long: each sees what was committed before it began, and never holds up a writer or the event loop. Worker
   * threads on SQLite, a small pool of its own on PostgreSQL; no transactions. `execute({ signal })` gives up when the request has gone. Closed with
   * `kysely`.
   */
  reader: Kysely<RecordSchema>;
  kind: "sqlite" | "postgres";
  projectId: string;
  /** The database's clock, ms since the epoch. */
  now: RawBuilder<number>;
  /** Who is told of changes; set once, when the stack is open. */
  mirrors: MirrorNames;
  /** Nothing but this transaction's queries may be awaited in `work`: on SQLite everybody else waits, on PostgreSQL it may run again. */
  transaction<T>(work: (transaction: RecordTransaction) => Promise<T>): Promise<T>;
}

const sqliteNow = sql<number>`CAST(round(unixepoch('subsec') * 1000) AS INTEGER)`;
const postgresNow = sql<number>`CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)`;
const maximumTries = 5;
/** Connections of their own, so that long reads never take the last one from a writer. */
const mostPostgresReaders = 4;

/** Opens and migrates. Errors: SCHEMA_TOO_NEW, UNAVAILABLE, PERMISSION_DENIED, CORRUPTED. */
export async function openDatabase(
  location: RecordLocation,
  projectId: string,
  options: SqliteOptions = {},
): Promise<RecordDatabase> {
  const kind = "sqlitePath" in location ? "sqlite" : "postgres";
  const dialect =
    "sqlitePath" in location ? sqliteDialect(location.sqlitePath, options) : postgresDialect(location.postgresUrl);
  const kysely = new Kysely<RecordSchema>({ dialect });
  try {
    await migrate(kysely, kind, "sqlitePath" in location ? location.sqlitePath : "DATABASE_URL");
  } catch (error) {
    await kysely.destroy();
    throw error;
  }
  return {
    kysely,
    reader: openReader(
      kysely,
      "sqlitePath" in location
        ? readerDialect(location.sqlitePath)
        : postgresDialect(location.postgresUrl, mostPostgresReaders),
    ),
    kind,
    projectId,
    mirrors: { tracking: [], registry: [], runs: [] },
    now: kind === "sqlite" ? sqliteNow : postgresNow,
    transaction: (work) => runTransaction(kysely, work),
  };
}

/** SQLite: its threads end before the writer's connection closes, which, as the last one, folds the write-ahead log into the file. */
function openReader(kysely: Kysely<RecordSchema>, dialect: Dialect): Kysely<RecordSchema> {
  const reader = new Kysely<RecordSchema>({ dialect });
  const closeWriter = kysely.destroy.bind(kysely);
  kysely.destroy = async () => {
    await reader.destroy();
    await closeWriter();
  };
  return reader;
}

async function runTransaction<T>(
  kysely: Kysely<RecordSchema>,
  work: (transaction: RecordTransaction) => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await kysely.transaction().execute(work);
    } catch (error) {
      if (tries >= maximumTries || !isSerializationFailure(error)) throw error;
    }
  }
}

/** LIKE, the same on both: case-sensitive unless `ignoreCase` (ASCII letters only), `\` escapes `%` and `_`. */
export function like(column: RawBuilder<string>, pattern: string, ignoreCase = false): RawBuilder<boolean> {
  // Lowered here, for lower() of a parameter goes by the server's locale in PostgreSQL.
  const lowered = ignoreCase ? pattern.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase()) : pattern;
  return ignoreCase
    ? sql<boolean>`lower(${column}) LIKE ${lowered} ESCAPE '\\'`
    : sql<boolean>`${column} LIKE ${pattern} ESCAPE '\\'`;
}

/** The next number of a series of the project (audit rows); the row's lock keeps numbers without gaps. */
export async function nextNumber(
  database: RecordDatabase,
  transaction: RecordTransaction,
  name: string,
): Promise<number> {
  const row = await transaction
    .insertInto("counters")
    .values({ project_id: database.projectId, name, value: 1 })
    .onConflict((conflict) =>
      conflict.columns(["project_id", "name"]).doUpdateSet({ value: sql<number>`counters.value + 1` }),
    )
    .returning("value")
    .executeTakeFirstOrThrow(() => new EspalierError("INTERNAL", `No next number of ${name}`));
  return row.value;
}
