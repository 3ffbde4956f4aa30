import { Kysely, sql } from "kysely";
import { expect, test } from "vitest";
import { startPostgres } from "../../../../../scripts/servers/postgres.ts";
import { postgresDialect } from "../dialect/postgres-dialect.ts";
import { sqliteDialect } from "../dialect/sqlite-dialect.ts";
import type { RecordSchema } from "../schema/record-schema.ts";
import { describeOnBoth } from "../testing/databases.ts";
import { migrations } from "./all.ts";
import { migrate } from "./migrate.ts";

describeOnBoth("points that were there before they were kept by series", await startPostgres(), (database) => {
  test("are all there after the migration, each in its project and run, and new ones join them", async () => {
    const { location, kind } = database;
    const kysely = new Kysely<RecordSchema>({
      dialect: "sqlitePath" in location ? sqliteDialect(location.sqlitePath) : postgresDialect(location.postgresUrl),
    });
    await migrate(kysely, kind, "test", migrations.slice(0, 1));
    const rows = ["one", "two"].flatMap((project) =>
      ["run a", "run b"].flatMap((run) => ["loss", "auc"].map((key) => [project, run, key] as const)),
    );
    for (const [index, [project, run, key]] of rows.entries()) {
      for (const step of [1, 2]) {
        await sql`INSERT INTO metrics (project_id, run_id, key, step, timestamp, value, is_nan)
          VALUES (${project}, ${run}, ${key}, ${step}, 7, ${index + step / 10}, 0)`.execute(kysely);
      }
      await sql`INSERT INTO latest_metrics (project_id, run_id, key, step, timestamp, value, is_nan)
        VALUES (${project}, ${run}, ${key}, 2, 7, ${index + 0.2}, 0)`.execute(kysely);
    }
    await kysely.destroy();

    const record = await database.open("two");
    await record.runMetrics.log("run a", [{ key: "loss", step: 3, timestamp: 7, value: 9 }]);
    await record.runMetrics.log("run a", [{ key: "fresh", step: 3, timestamp: 7, value: 9 }]);
    const history = async (run: string, key: string) =>
      (await record.tracking.history.page(run, key, 10)).points.map(({ step, value }) => [step, value]);
    expect(await history("run a", "loss")).toEqual([
      [1, 4.1],
      [2, 4.2],
      [3, 9],
    ]);
    expect(await history("run b", "auc")).toEqual([
      [1, 7.1],
      [2, 7.2],
    ]);
    expect(await history("run a", "fresh")).toEqual([[3, 9]]);
    const other = await database.open("one");
    expect((await other.tracking.history.page("run a", "loss", 10)).points).toHaveLength(2);
  });
});
