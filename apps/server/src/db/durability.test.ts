import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { sql } from "kysely";
import { afterAll, expect, test } from "vitest";
import { openDatabase } from "./database.ts";
import { migrations } from "./migrations/all.ts";
import { openRecord } from "./record.ts";

const folder = mkdtempSync(join(tmpdir(), "espalier-durability-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the writer until it has acknowledged so many runs, then kills it in the middle of the next. */
async function writeAndKill(sqlitePath: string, first: number, count: number): Promise<string[]> {
  const program = fileURLToPath(new URL("testing/writer.ts", import.meta.url));
  const child = spawn(process.execPath, ["--no-warnings", program, sqlitePath, String(first)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const acknowledged: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    acknowledged.push(line);
    if (acknowledged.length === count) child.kill("SIGKILL");
  }
  await exited;
  return acknowledged;
}

test("kill -9 loses no acknowledged write and leaves no half one", async () => {
  const sqlitePath = join(folder, "record.db");
  const acknowledged: string[] = [];
  for (const count of [1, 20, 73])
    acknowledged.push(...(await writeAndKill(sqlitePath, acknowledged.length * 10, count)));
  const record = await openRecord({ sqlitePath }, "project", { soleOwner: true });
  for (const id of acknowledged) {
    expect(await record.runs.get(id), id).toMatchObject({ id });
    expect(await record.engine.steps(id)).toHaveLength(2);
  }
  const subjects = new Set<string | undefined>();
  let cursor: string | undefined;
  do {
    const page = await record.audit.list({}, { limit: 1000, cursor });
    for (const row of page.items) subjects.add(row.subject);
    cursor = page.next;
  } while (cursor !== undefined);
  for (const id of acknowledged) expect(subjects, id).toContain(id);
  await record.close();
  const database = new DatabaseSync(sqlitePath);
  expect(
    database
      .prepare("PRAGMA integrity_check")
      .all()
      .map((row) => ({ ...row })),
  ).toEqual([{ integrity_check: "ok" }]);
  database.close();
});

test("the owner's death frees its runs at once for the next owner, whose epoch is greater", async () => {
  const sqlitePath = join(folder, "leases.db");
  await writeAndKill(sqlitePath, 0, 1);
  const dead = await openRecord({ sqlitePath }, "project");
  const claimed = (await dead.engine.claimRuns("dead", 3600))[0];
  await dead.close();
  const next = await openRecord({ sqlitePath }, "project", { soleOwner: true });
  const taken = (await next.engine.claimRuns("next", 60)).find((run) => run.id === claimed?.id);
  expect(taken?.leaseEpoch).toBe((claimed?.leaseEpoch ?? 0) + 1);
  await next.close();
});

test("a database of a newer version is refused, and not touched", async () => {
  const sqlitePath = join(folder, "newer.db");
  await (await openRecord({ sqlitePath }, "project")).close();
  const database = new DatabaseSync(sqlitePath);
  database.exec("INSERT INTO schema_versions (version, name, applied_at) VALUES (999, 'later', 0)");
  await expect(openRecord({ sqlitePath }, "project")).rejects.toMatchObject({
    code: "SCHEMA_TOO_NEW",
    at: sqlitePath,
    hint: expect.stringContaining("npm install"),
    details: { present: 999 },
  });
  expect(database.prepare("SELECT count(*) AS n FROM schema_versions WHERE version < 999").get()?.n).toBe(
    migrations.length,
  );
  database.close();
});

test("what is no database, or in no place to write, is said so", async () => {
  const path = join(folder, "text.db");
  writeFileSync(path, "this is text, and more of it than the header of a database has ".repeat(20));
  await expect(openRecord({ sqlitePath: path }, "project")).rejects.toMatchObject({ code: "CORRUPTED", at: path });
  const nowhere = join(folder, "no", "such", "folder", "record.db");
  await expect(openRecord({ sqlitePath: nowhere }, "project")).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  await expect(openRecord({ postgresUrl: "postgres://nobody@127.0.0.1:9/none" }, "project")).rejects.toMatchObject({
    code: "UNAVAILABLE",
    hint: expect.stringContaining("DATABASE_URL"),
  });
});

test("a full disk is DISK_FULL, and nothing of the transaction stays", async () => {
  const database = await openDatabase({ sqlitePath: join(folder, "full.db") }, "project");
  const pages = await sql<{ page_count: number }>`PRAGMA page_count`.execute(database.kysely);
  await sql`PRAGMA max_page_count = ${sql.lit((pages.rows[0]?.page_count ?? 0) + 2)}`.execute(database.kysely);
  const write = (key: string, size: number) =>
    database.transaction(async (transaction) => {
      const value = "x".repeat(size);
      await transaction
        .insertInto("settings")
        .values({ project_id: "project", key: `${key}-small`, value: "" })
        .execute();
      await transaction.insertInto("settings").values({ project_id: "project", key, value }).execute();
    });
  await expect(write("big", 1_000_000)).rejects.toMatchObject({ code: "DISK_FULL" });
  await write("small", 1);
  const keys = await database.kysely.selectFrom("settings").select("key").execute();
  expect(keys.map((row) => row.key).sort()).toEqual(["small", "small-small"]);
  await database.kysely.destroy();
});
