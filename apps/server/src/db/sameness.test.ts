import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { sql } from "kysely";
import { expect, test } from "vitest";
import { startPostgres } from "../../../../scripts/servers/postgres.ts";
import { like, type RecordDatabase } from "./database.ts";
import type { Page } from "./page.ts";
import { isLater, logMetrics, type MetricPoint, metricValue } from "./queries/metrics.ts";
import { describeOnBoth } from "./testing/databases.ts";

describeOnBoth("both databases behave alike", await startPostgres(), (database) => {
  test("texts compare by their bytes", async () => {
    const { kysely, projectId } = await database.openDatabase();
    const names = ["a", "B", "ä", "Z", "z", "_", "-", "a b", "ab", "é", "😀", "～", ""];
    for (const key of names)
      await kysely.insertInto("settings").values({ project_id: projectId, key, value: "1" }).execute();
    const rows = await kysely
      .selectFrom("settings")
      .select("key")
      .where("project_id", "=", projectId)
      .orderBy("key")
      .execute();
    expect(rows.map((row) => row.key)).toEqual(
      [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
    );
  });

  test("LIKE minds case, ILIKE ignores that of ASCII letters, and a backslash escapes", async () => {
    const { kysely, projectId } = await database.openDatabase();
    for (const key of ["Rate", "rate", "r_te", "r%te", "ÄRA", "ära"]) {
      await kysely.insertInto("settings").values({ project_id: projectId, key, value: "1" }).execute();
    }
    const find = async (pattern: string, ignoreCase = false) =>
      (
        await kysely
          .selectFrom("settings")
          .select("key")
          .where("project_id", "=", projectId)
          .where(like(sql.ref("key"), pattern, ignoreCase))
          .orderBy("key")
          .execute()
      ).map((row) => row.key);
    expect(await find("r_te")).toEqual(["r%te", "r_te", "rate"]);
    expect(await find("R%")).toEqual(["Rate"]);
    expect(await find("RATE", true)).toEqual(["Rate", "rate"]);
    expect(await find("r\\_te")).toEqual(["r_te"]);
    expect(await find("r\\%te")).toEqual(["r%te"]);
    expect(await find("äRA", true)).toEqual(["ära"]);
  });

  test("64-bit integers and doubles come back as they went in", async () => {
    const record = await database.openDatabase();
    const integers = [0, -1, Number.MAX_SAFE_INTEGER, -(2n ** 63n), 2n ** 63n - 1n, 2n ** 53n];
    const doubles = [
      0.1,
      5e-324,
      1.7976931348623157e308,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      Number.NaN,
      1e300,
    ];
    const points = integers.flatMap((step) => doubles.map((value) => ({ key: "k", value, step, timestamp: step })));
    await record.transaction((inner) => logMetrics(record, inner, "run", points));
    const rows = await pointsOf(record, "run");
    const read = rows.map((row) => `${row.step} ${row.timestamp} ${metricValue(row)}`).sort();
    expect(read).toEqual(points.map((point) => `${point.step} ${point.timestamp} ${point.value}`).sort());
  });

  test("a text with a NUL is refused, by both", async () => {
    const { kysely, projectId } = await database.openDatabase();
    const write = kysely.insertInto("settings").values({ project_id: projectId, key: "a\0b", value: "1" }).execute();
    await expect(write).rejects.toMatchObject({ code: "INVALID_INPUT" });
  });

  test("a failed transaction leaves nothing, and the next goes on", async () => {
    const record = await database.openDatabase();
    const insert = (key: string) => ({ project_id: record.projectId, key, value: "1" });
    await expect(
      record.transaction(async (transaction) => {
        await transaction.insertInto("settings").values(insert("a")).execute();
        await transaction.insertInto("settings").values(insert("a")).execute();
      }),
    ).rejects.toMatchObject({ code: "CONFLICT" });
    const results = await Promise.all(
      ["b", "c", "d"].map((key) =>
        record.transaction(async (transaction) => {
          await transaction.insertInto("settings").values(insert(key)).execute();
          const rows = await transaction.selectFrom("settings").select("key").where("key", "=", key).execute();
          return rows.length;
        }),
      ),
    );
    expect(results).toEqual([1, 1, 1]);
    const rows = await record.kysely
      .selectFrom("settings")
      .select("key")
      .where("project_id", "=", record.projectId)
      .execute();
    expect(rows.map((row) => row.key).sort()).toEqual(["b", "c", "d"]);
  });

  test("the clock is the database's, in whole milliseconds", async () => {
    const { kysely, now } = await database.openDatabase();
    const { rows } = await sql<{ now: number }>`SELECT ${now} AS now`.execute(kysely);
    expect(Number.isInteger(rows[0]?.now)).toBe(true);
  });

  test("latest is the greatest (step, timestamp, value), in whatever batches and order points arrive", async () => {
    const record = await database.openDatabase();
    const point = fc.record({
      key: fc.constantFrom("a", "b"),
      step: fc.constantFrom(-1, 0, 1, 2),
      timestamp: fc.constantFrom(0, 1),
      value: fc.constantFrom(-1, 0, 1, Number.NaN, Number.POSITIVE_INFINITY),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(point, { maxLength: 6 }), { maxLength: 4 }), async (batches) => {
        const run = randomUUID();
        for (const batch of [...batches, ...batches]) {
          await record.transaction((transaction) => logMetrics(record, transaction, run, batch));
        }
        const stored = await pointsOf(record, run);
        const latest = await record.kysely.selectFrom("latest_metrics").selectAll().where("run_id", "=", run).execute();
        const all = batches.flat();
        expect(stored).toHaveLength(new Set(all.map(identity)).size);
        for (const key of new Set(all.map((one) => one.key))) {
          const best = all
            .filter((one) => one.key === key)
            .map(asStored)
            .reduce((a, b) => (isLater(b, a) ? b : a));
          expect(latest.find((row) => row.key === key)).toMatchObject(best);
        }
      }),
      { numRuns: 40 },
    );
  });

  test("pages give every row once, in order, whatever their size and whatever is added before them", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.constantFrom(..."abcdefghij"), { maxLength: 10 }),
        fc.integer({ min: 1, max: 4 }),
        async (names, limit) => {
          const record = await database.open();
          for (const name of names) {
            await record.monitors.upsert({ name: `m${name}`, endpoint: "e", spec: {}, enabled: true });
          }
          const seen: string[] = [];
          let page: Page<{ name: string }> = await record.monitors.list({ limit });
          for (;;) {
            seen.push(...page.items.map((row) => row.name));
            if (page.next === undefined) break;
            // Sorts before everything: an offset would now show one row twice.
            await record.monitors.upsert({ name: `a${randomUUID()}`, endpoint: "e", spec: {}, enabled: true });
            page = await record.monitors.list({ limit, cursor: page.next });
          }
          expect(seen).toEqual(names.map((name) => `m${name}`).sort());
          await record.close();
        },
      ),
      { numRuns: 15 },
    );
  });

  test("lineage finds what can be reached, cycles and all, and says when it stopped", async () => {
    const record = await database.open();
    const node = fc.integer({ min: 0, max: 7 }).map(String);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(node, node), { minLength: 1, maxLength: 14 }), async (pairs) => {
        const mark = randomUUID();
        const edges = pairs.map(([from, to]) => ({ from: `${mark}:${from}`, to: `${mark}:${to}`, relation: "made" }));
        await record.lineage.addEdges(edges);
        await record.lineage.addEdges(edges);
        const start = edges[0]?.from ?? "";
        const down = await record.lineage.downstream(start, { depth: 50 });
        expect([...down.nodes].sort()).toEqual(reach(start, edges));
        expect(down.truncated).toBe(false);
        expect(new Set(down.edges.map((edge) => `${edge.from} ${edge.to}`)).size).toBe(down.edges.length);
        const up = await record.lineage.upstream(start, { depth: 50 });
        expect([...up.nodes].sort()).toEqual(
          reach(
            start,
            edges.map(({ from, to }) => ({ from: to, to: from })),
          ),
        );
      }),
      { numRuns: 30 },
    );
    await record.lineage.addEdges(
      [1, 2, 3, 4].map((n) => ({ from: `chain:${n}`, to: `chain:${n + 1}`, relation: "made" })),
    );
    expect(await record.lineage.downstream("chain:1", { depth: 2 })).toMatchObject({
      nodes: ["chain:1", "chain:2", "chain:3"],
      truncated: true,
    });
    expect(await record.lineage.downstream("chain:1", { limit: 1 })).toMatchObject({
      nodes: ["chain:1", "chain:2"],
      truncated: true,
    });
    expect(await record.lineage.downstream("chain:1", { depth: 4 })).toMatchObject({ truncated: false });
    await expect(record.lineage.upstream("x", { depth: 0 })).rejects.toMatchObject({ code: "INVALID_INPUT" });
  });
});

function reach(start: string, edges: readonly { from: string; to: string }[]): string[] {
  const found = new Set([start]);
  for (const node of found) for (const edge of edges) if (edge.from === node) found.add(edge.to);
  return [...found].sort();
}

function asStored(point: MetricPoint) {
  const isNan = Number.isNaN(point.value);
  return { step: point.step, timestamp: point.timestamp, value: isNan ? 0 : point.value, is_nan: isNan ? 1 : 0 };
}

function identity(point: MetricPoint): string {
  return `${point.key} ${point.step} ${point.timestamp} ${point.value}`;
}

function pointsOf({ kysely, projectId }: RecordDatabase, runId: string) {
  return kysely
    .selectFrom("metrics")
    .innerJoin("latest_metrics as series", "series.series_id", "metrics.series_id")
    .selectAll("metrics")
    .where("series.project_id", "=", projectId)
    .where("series.run_id", "=", runId)
    .execute();
}
