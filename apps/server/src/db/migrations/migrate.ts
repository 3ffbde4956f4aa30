import { EspalierError } from "@espalier/core";
import { type Kysely, sql } from "kysely";
import { migrations as allMigrations } from "./all.ts";
import { columnTypes, type Migration } from "./migration.ts";

/** Any fixed number; it names the lock under which one of several starting servers migrates. */
const advisoryLock = 7_305_112_604;

/**
 * Brings the database to the newest version, all in one transaction. SCHEMA_TOO_NEW when a newer Espalier has been here:
 * nothing is read or written then.
 */
export async function migrate<Schema>(
  kysely: Kysely<Schema>,
  kind: "sqlite" | "postgres",
  place: string,
  migrations: readonly Migration[] = allMigrations,
): Promise<void> {
  await kysely.transaction().execute(async (transaction) => {
    if (kind === "postgres") await sql`SELECT pg_advisory_xact_lock(${advisoryLock})`.execute(transaction);
    const { text, integer, tableEnd } = columnTypes[kind];
    await sql
      .raw(
        `CREATE TABLE IF NOT EXISTS schema_versions (version ${integer} NOT NULL PRIMARY KEY, name ${text} NOT NULL,
          applied_at ${integer} NOT NULL) ${tableEnd}`,
      )
      .execute(transaction);
    const found = await sql<{ version: number | null }>`SELECT max(version) AS version FROM schema_versions`.execute(
      transaction,
    );
    const present = found.rows[0]?.version ?? 0;
    const newest = migrations.at(-1)?.version ?? 0;
    if (present > newest) {
      throw new EspalierError(
        "SCHEMA_TOO_NEW",
        `The record is of version ${present}; this Espalier understands versions up to ${newest}`,
        {
          at: place,
          hint: "Use the newer Espalier that wrote it (`npm install espalier@latest`), or restore a backup from before the upgrade.",
          details: { present, newest },
        },
      );
    }
    for (const migration of migrations.filter((one) => one.version > present)) {
      for (const statement of migration.statements(columnTypes[kind])) await sql.raw(statement).execute(transaction);
      await sql`INSERT INTO schema_versions (version, name, applied_at)
        VALUES (${migration.version}, ${migration.name}, ${Date.now()})`.execute(transaction);
    }
  });
}
