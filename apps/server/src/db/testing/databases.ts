import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, test } from "vitest";
import type { startPostgres } from "../../../../../scripts/servers/postgres.ts";
import { openDatabase, type RecordDatabase, type RecordLocation } from "../database.ts";
import { openRecord, type ProjectRecord } from "../record.ts";

/** One of the two databases, as the tests of a `describe` see it. Everything opened is closed after each test. */
export interface TestDatabase {
  kind: "sqlite" | "postgres";
  location: RecordLocation;
  /** A record of a project of its own, or of `projectId`. */
  open(projectId?: string): Promise<ProjectRecord>;
  openDatabase(projectId?: string): Promise<RecordDatabase>;
}

/**
 * The same tests on SQLite and on PostgreSQL. Call it once a file, with the server that `await startPostgres()` gave: then the file has
 * one server. Without PostgreSQL the tests are skipped, and the skip says why.
 */
export function describeOnBoth(
  name: string,
  postgres: Awaited<ReturnType<typeof startPostgres>>,
  body: (database: TestDatabase) => void,
): void {
  describe(`${name} on SQLite`, () => {
    const folder = mkdtempSync(join(tmpdir(), "espalier-record-"));
    afterAll(() => rmSync(folder, { recursive: true, force: true }));
    body(testDatabase("sqlite", { sqlitePath: join(folder, "record.db") }));
  });
  if ("skipped" in postgres) {
    describe(`${name} on PostgreSQL`, () => test.skip(`skipped: ${postgres.skipped}`));
    return;
  }
  describe(`${name} on PostgreSQL`, () => {
    afterAll(() => postgres.stop());
    body(testDatabase("postgres", { postgresUrl: postgres.url }));
  });
}

function testDatabase(kind: TestDatabase["kind"], location: RecordLocation): TestDatabase {
  const closers: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });
  return {
    kind,
    location,
    open: async (projectId = randomUUID()) => {
      const record = await openRecord(location, projectId);
      closers.push(() => record.close());
      return record;
    },
    openDatabase: async (projectId = randomUUID()) => {
      const database = await openDatabase(location, projectId);
      closers.push(() => database.kysely.destroy());
      return database;
    },
  };
}
