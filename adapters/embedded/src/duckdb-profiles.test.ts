import {
  diffTables,
  driftReport,
  jensenShannon,
  livePerformance,
  matchStrata,
  mergeProfiles,
  profileStrata,
  profileTable,
  type TableColumn,
} from "@espalier/quality";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DuckDb, openDuckDb } from "./duckdb-client.ts";

const columns: TableColumn[] = [
  { name: "x", type: "DOUBLE" },
  { name: "n", type: "INTEGER" },
  { name: "city", type: "VARCHAR" },
  { name: "flag", type: "BOOLEAN" },
  { name: "at", type: "TIMESTAMP" },
];

/** Weekends (days 5 and 6) hold larger values of x, so the calendar alone moves its distribution. */
const table = (rows: number, offset: number, shift = 0): string => `
  SELECT CASE WHEN i % 1000 = 0 THEN NULL WHEN i % 1001 = 0 THEN 'NaN'::DOUBLE
    ELSE ((i * 7919) % 10007) / 10007.0 + ${shift} + CASE WHEN (i % 7) >= 5 THEN 1 ELSE 0 END END AS x,
    ((i * 31) % 4)::INTEGER AS n, ['A', 'B', 'C'][(i * 17) % 3 + 1] AS city, i % 4 = 0 AS flag,
    TIMESTAMP '2001-01-01' + INTERVAL (i % 7) DAY AS at, i % 7 AS weekday, i AS id
  FROM range(${offset}, ${offset + rows}) t(i)`;

let database: DuckDb;
const rows = (sql: string) => database.rows(sql);
beforeAll(async () => {
  database = await openDuckDb({ threads: 2 });
  await database.run(`CREATE TABLE reference AS ${table(20_000, 0)}`);
  await database.run(`CREATE TABLE same AS ${table(15_000, 50_000)}`);
  await database.run(`CREATE TABLE shifted AS ${table(15_000, 50_000, 0.7)}`);
  await database.run("CREATE TABLE weekend AS SELECT * FROM same WHERE weekday >= 4");
  await database.run("CREATE TABLE empty AS SELECT * FROM same LIMIT 0");
});
afterAll(() => database.close());

describe("profiles", () => {
  it("count what is there", async () => {
    const profile = await profileTable(rows, "reference", columns);
    const [x, n, city, flag, at] = profile.columns;
    const expected = await rows("SELECT count(x) AS v, avg(x) AS m FROM reference WHERE isfinite(x)");
    expect(x).toMatchObject({ kind: "numeric", rows: 20_000, nulls: 20, notFinite: 19 });
    expect(x?.moments?.count).toBe(expected[0]?.v);
    expect(x?.moments?.mean).toBeCloseTo(Number(expected[0]?.m), 12);
    expect(x?.histogram?.counts.reduce((sum, count) => sum + count, 0)).toBe(expected[0]?.v);
    expect(x?.histogram?.cuts).toHaveLength(19);
    for (const count of x?.histogram?.counts ?? []) expect(Math.abs(count - 1000)).toBeLessThan(150);
    expect(n?.histogram).toMatchObject({ cuts: [0, 1, 2, 3, 4], counts: [0, 5000, 5000, 5000, 5000, 0] });
    expect(n?.moments).toEqual({ count: 20_000, mean: 1.5, squares: 25_000, min: 0, max: 3 });
    expect(city?.categories?.values.map(({ value }) => value).sort()).toEqual(["A", "B", "C"]);
    expect(flag?.categories).toEqual({
      values: [
        { value: "true", count: 5000 },
        { value: "false", count: 15_000 },
      ],
      other: 0,
    });
    expect(at).toMatchObject({ kind: "time", first: "2001-01-01 00:00:00", last: "2001-01-07 00:00:00" });
  });
  it("merge to the profile of all rows", async () => {
    const reference = await profileTable(rows, "reference", columns);
    const strata = await profileStrata(rows, "same", columns, { reference, stratum: "weekday" });
    const whole = await profileTable(rows, "same", columns, { reference });
    const merged = mergeProfiles([...strata.values()].map((profile) => ({ profile })));
    expect(strata.size).toBe(7);
    expect(merged.rows).toBe(whole.rows);
    for (const [index, column] of whole.columns.entries()) {
      const other = merged.columns[index];
      expect(other?.histogram).toEqual(column.histogram);
      expect(other?.nulls).toBe(column.nulls);
      expect(other?.moments?.mean ?? 0).toBeCloseTo(column.moments?.mean ?? 0, 10);
      expect(other?.moments?.squares ?? 0).toBeCloseTo(column.moments?.squares ?? 0, 6);
    }
  });
  it("of no rows, and with a condition", async () => {
    const reference = await profileTable(rows, "reference", columns);
    expect((await profileTable(rows, "empty", columns, { reference })).rows).toBe(0);
    expect((await profileTable(rows, "same", columns, { reference, where: "flag" })).rows).toBe(3750);
  });
});

describe("drift", () => {
  it("is seen between two constants", async () => {
    const constant = [{ name: "c", type: "DOUBLE" }];
    await database.run("CREATE OR REPLACE TABLE five AS SELECT 5.0::DOUBLE AS c FROM range(1000)");
    await database.run("CREATE OR REPLACE TABLE six AS SELECT 6.0::DOUBLE AS c FROM range(1000)");
    const reference = await profileTable(rows, "five", constant);
    const drift = async (table: string) =>
      driftReport(reference, await profileTable(rows, table, constant, { reference }));
    expect((await drift("five")).drifted).toBe(false);
    expect((await drift("six")).columns[0]?.measures.wasserstein).toBeGreaterThan(1);
  });
  it("is found where it is and nowhere else", async () => {
    const reference = await profileTable(rows, "reference", columns);
    const quiet = driftReport(reference, await profileTable(rows, "same", columns, { reference }));
    expect(quiet.columns.filter((column) => column.outcome === "drifted")).toEqual([]);
    const loud = driftReport(reference, await profileTable(rows, "shifted", columns, { reference }), { share: 0.2 });
    expect(loud.columns.filter((column) => column.outcome === "drifted").map((column) => column.column)).toEqual(["x"]);
    expect(loud.drifted).toBe(true);
    const x = loud.columns[0];
    expect(x?.crossed[0]).toMatchObject({ measure: "psi", threshold: 0.2 });
    // The whole column is moved by 0.7, which is 1.3 of its standard deviations.
    const spread = Number((await rows("SELECT stddev_pop(x) AS s FROM reference WHERE isfinite(x)"))[0]?.s);
    expect(x?.measures.wasserstein).toBeCloseTo(0.7 / spread, 1);
  });
  it("compares like with like: a long weekend is no shift", async () => {
    const reference = await profileTable(rows, "reference", columns);
    const plain = driftReport(reference, await profileTable(rows, "weekend", columns, { reference }));
    expect(plain.columns[0]?.outcome).toBe("drifted");
    const matched = matchStrata(
      await profileStrata(rows, "reference", columns, { reference, stratum: "weekday" }),
      await profileStrata(rows, "weekend", columns, { reference, stratum: "weekday" }),
    );
    const fair = driftReport(matched.reference, matched.current);
    expect(fair.columns[0]?.outcome).toBe("kept");
    expect(fair.columns[0]?.measures.psi).toBeLessThan(0.01);
  });
  it("honours thresholds by column, ignored columns and few rows", async () => {
    const reference = await profileTable(rows, "reference", columns);
    const current = await profileTable(rows, "shifted", columns, { reference });
    const outcome = (settings: Parameters<typeof driftReport>[2]) =>
      driftReport(reference, current, settings).columns[0]?.outcome;
    expect(outcome({ columns: { x: { wasserstein: 5 } } })).toBe("kept");
    expect(outcome({ default: { jensen_shannon: 0.1 } })).toBe("drifted");
    expect(outcome({ default: { kolmogorov_smirnov_p: 0.01 } })).toBe("drifted");
    expect(outcome({ ignore: ["x"] })).toBe("not_judged");
    expect(outcome({ minimumRows: 16_000 })).toBe("too_few");
  });
  it("tells of columns that came, went or changed their type, and of new categories", async () => {
    const reference = await profileTable(rows, "reference", columns);
    await database.run("CREATE OR REPLACE TABLE other AS SELECT x, n::VARCHAR AS n, 'D' AS city, id FROM same");
    const current = await profileTable(
      rows,
      "other",
      [
        { name: "x", type: "DOUBLE" },
        { name: "n", type: "VARCHAR" },
        { name: "city", type: "VARCHAR" },
        { name: "id", type: "BIGINT" },
      ],
      { reference },
    );
    const report = driftReport(reference, current);
    expect(report.schema).toEqual({
      missing: ["flag", "at"],
      added: ["id"],
      retyped: [{ column: "n", from: "INTEGER", to: "VARCHAR" }],
    });
    expect(report.columns.find((column) => column.column === "city")?.measures.jensen_shannon).toBeCloseTo(
      jensenShannon([1, 1, 1, 0], [0, 0, 0, 1]),
      12,
    );
  });
});

describe("table diff", () => {
  const shape: TableColumn[] = [
    { name: "id", type: "BIGINT" },
    { name: "city", type: "VARCHAR" },
    { name: "n", type: "INTEGER" },
  ];

  it("finds rows that came, went and changed", async () => {
    await database.run("CREATE OR REPLACE TABLE v1 AS SELECT id, city, n FROM reference WHERE id < 1000");
    await database.run(
      "CREATE OR REPLACE TABLE v2 AS SELECT id, CASE WHEN id = 7 THEN NULL ELSE city END AS city, n FROM reference WHERE id BETWEEN 3 AND 1004",
    );
    const diff = await diffTables(rows, { table: "v1", columns: shape }, { table: "v2", columns: shape }, ["id"]);
    expect(diff.rows).toEqual({ before: 1000, after: 1002 });
    expect(diff.keyed).toMatchObject({ added: 5, removed: 3, changed: 1, unchanged: 996, changedColumns: { city: 1 } });
    expect(diff.keyed?.samples.slice(0, 4)).toEqual([
      { key: { id: 0 }, change: "removed" },
      { key: { id: 1 }, change: "removed" },
      { key: { id: 2 }, change: "removed" },
      { key: { id: 7 }, change: "changed", columns: { city: { before: "C", after: null } } },
    ]);
  });
  it("does not pair rows by a key that is not unique", async () => {
    const request = { table: "reference", columns: shape };
    await expect(diffTables(rows, request, request, ["n"])).rejects.toMatchObject({ code: "INVALID_INPUT", at: "key" });
    await expect(diffTables(rows, request, request, ["nope"])).rejects.toThrow(/no column nope/);
  });
});

describe("live performance", () => {
  it("gives each window its value and an interval over its blocks", () => {
    const count = 2800;
    const score = Float64Array.from({ length: count }, (_, i) => ((i * 7919) % 1000) / 1000);
    // In the second week the labels no longer follow the score.
    const target = Float64Array.from(score, (value, i) => ((i < 1400 ? value : 0.5) > ((i * 31) % 97) / 97 ? 1 : 0));
    const weeks = {
      column: "week",
      values: ["2001-W14", "2001-W15"],
      codes: Int32Array.from(score, (_, i) => (i < 1400 ? 0 : 1)),
    };
    const days = {
      column: "day",
      values: Array.from({ length: 14 }, (_, d) => `${d}`),
      codes: Int32Array.from(score, (_, i) => Math.floor(i / 200)),
    };
    const [first, second] = livePerformance({ score, target }, weeks, days, { metric: "auc", seed: 3 });
    expect(first).toMatchObject({ window: "2001-W14", rows: 1400, blocks: 7 });
    expect(first?.lower).toBeGreaterThan(second?.upper ?? 1);
    expect(second?.value).toBeGreaterThan(0.4);
    expect(second?.value).toBeLessThan(0.6);
  });
});
