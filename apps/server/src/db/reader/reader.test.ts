import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { Kysely, sql } from "kysely";
import { afterEach, describe, expect, test, vi } from "vitest";
import { startPostgres } from "../../../../../scripts/servers/postgres.ts";
import { openDatabase, type RecordDatabase } from "../database.ts";
import type { RecordSchema } from "../schema/record-schema.ts";
import { describeOnBoth } from "../testing/databases.ts";
import { readerDialect } from "./reader-dialect.ts";
import { startReaderThread } from "./reader-thread.ts";

const write = (database: RecordDatabase, key: string, value = "1") =>
  database.kysely.insertInto("settings").values({ project_id: database.projectId, key, value }).execute();

const keys = async ({ reader, projectId }: RecordDatabase) =>
  (await reader.selectFrom("settings").select("key").where("project_id", "=", projectId).orderBy("key").execute()).map(
    (row) => row.key,
  );

describeOnBoth("the reader", await startPostgres(), (given) => {
  test("sees every acknowledged write, while a writer goes on", async () => {
    const database = await given.openDatabase();
    for (let count = 1; count <= 50; count += 1) {
      await write(database, String(count).padStart(3, "0"));
      expect(await keys(database)).toHaveLength(count);
    }
    // An open transaction neither holds it up nor shows through.
    await database.transaction(async (transaction) => {
      await transaction
        .insertInto("settings")
        .values({ project_id: database.projectId, key: "x", value: "1" })
        .execute();
      expect(await keys(database)).toHaveLength(50);
    });
    expect(await keys(database)).toHaveLength(51);
  });

  test("gives values as the writer's connection does", async () => {
    const database = await given.openDatabase();
    const integers = [0, -1, Number.MAX_SAFE_INTEGER, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)];
    const values = [0.1, Number.POSITIVE_INFINITY, -5e-324, 1e308, 7, 0];
    const rows = integers.map((step, index) => ({
      project_id: database.projectId,
      run_id: "r",
      key: `é😀${index}`,
      step,
      timestamp: 5,
      value: values[index] ?? 0,
      is_nan: 0,
    }));
    await database.kysely.insertInto("latest_metrics").values(rows).execute();
    const read = (kysely: RecordDatabase["kysely"]) =>
      kysely
        .selectFrom("latest_metrics")
        .select(["project_id", "run_id", "key", "step", "timestamp", "value", "is_nan"])
        .where("project_id", "=", database.projectId)
        .orderBy("key")
        .execute();
    expect(await read(database.reader)).toEqual(rows);
    expect(await read(database.reader)).toEqual(await read(database.kysely));
  });

  test("many at once are all answered, each with its own", async () => {
    const database = await given.openDatabase();
    const numbers = Array.from({ length: 60 }, (_, index) => index);
    const answers = await Promise.all(
      numbers.map((number) =>
        sql<{ number: number }>`SELECT CAST(${number} AS BIGINT) AS number`.execute(database.reader),
      ),
    );
    expect(answers.map(({ rows }) => rows[0]?.number)).toEqual(numbers);
  });

  test("a query whose asker has gone is given up, and the next is answered", async () => {
    const database = await given.openDatabase();
    const gone = new AbortController();
    const slow = Array.from({ length: 6 }, () => longQuery.execute(database.reader, { signal: gone.signal }));
    const outcomes = Promise.allSettled(slow);
    gone.abort();
    expect((await outcomes).map(({ status }) => status)).toEqual(slow.map(() => "rejected"));
    expect(await keys(database)).toEqual([]);
  });

  test("refuses what is wrong, with the same kinds of errors", async () => {
    const database = await given.openDatabase();
    await expect(sql`SELECT * FROM nowhere`.execute(database.reader)).rejects.toThrow(/nowhere/);
    await expect(database.reader.selectFrom("settings").where("key", "=", "a\0b").execute()).rejects.toMatchObject({
      code: "INVALID_INPUT",
    });
    expect(await keys(database)).toEqual([]);
  });
});

/** Counts to a few hundred thousand: long beside the time that a message takes, short beside a test's. */
const longQuery = sql<{
  total: number;
}>`WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 300000)
  SELECT count(*) AS total FROM numbers`;

describe("the reader's threads", () => {
  const folders: string[] = [];
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  });
  const place = (): string => {
    const folder = mkdtempSync(join(tmpdir(), "espalier-reader-"));
    folders.push(folder);
    return join(folder, "record.db");
  };

  test("can not write", async () => {
    const database = await openDatabase({ sqlitePath: place() }, randomUUID());
    await expect(sql`DELETE FROM settings`.execute(database.reader)).rejects.toMatchObject({
      code: "PERMISSION_DENIED",
    });
    await database.kysely.destroy();
  });

  test("one that ends under its query is replaced, and the query asked again", async () => {
    const database = await openDatabase({ sqlitePath: place() }, randomUUID());
    const started: Worker[] = [];
    const post = Worker.prototype.postMessage;
    Worker.prototype.postMessage = function (this: Worker, ...message) {
      started.push(this);
      post.apply(this, message);
      // The first thread is ended while it holds the question.
      if (started.length === 1) void this.terminate();
    };
    try {
      const { rows } = await longQuery.execute(database.reader);
      expect(rows).toEqual([{ total: 300_000 }]);
      expect(started).toHaveLength(2);
      expect(started[0]).not.toBe(started[1]);
    } finally {
      Worker.prototype.postMessage = post;
      await database.kysely.destroy();
    }
  });

  test("one that nobody asks anything ends, and the next query has another", async () => {
    const path = place();
    const database = await openDatabase({ sqlitePath: path }, randomUUID());
    const reader = new Kysely<RecordSchema>({ dialect: readerDialect(path, 1) });
    const ended = vi.spyOn(Worker.prototype, "terminate");
    expect((await longQuery.execute(reader)).rows).toEqual([{ total: 300_000 }]);
    await vi.waitFor(() => expect(ended).toHaveBeenCalledTimes(1));
    expect((await longQuery.execute(reader)).rows).toEqual([{ total: 300_000 }]);
    ended.mockRestore();
    await reader.destroy();
    await database.kysely.destroy();
  });

  test("closing ends a query under way and those that wait, and leaves one file", async () => {
    const path = place();
    const database = await openDatabase({ sqlitePath: path }, randomUUID());
    await write(database, "a");
    const asked = Promise.allSettled(Array.from({ length: 5 }, () => longQuery.execute(database.reader)));
    await database.kysely.destroy();
    for (const outcome of await asked) {
      if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "UNAVAILABLE" });
    }
    await expect(longQuery.execute(database.reader)).rejects.toThrow();
    const again = await openDatabase({ sqlitePath: path }, database.projectId);
    expect(await keys(again)).toEqual(["a"]);
    await again.kysely.destroy();
  });

  test("a thread that can not open the file says so", async () => {
    const thread = startReaderThread(join(tmpdir(), randomUUID(), "record.db"));
    await expect(thread.ask("SELECT 1", [])).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    expect(thread.isAlive()).toBe(false);
    await thread.close();
  });
});
