import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { startPostgres } from "../../../../../../scripts/servers/postgres.ts";
import { describeOnBoth } from "../../testing/databases.ts";
import type { FilterComparison, FilterOperator, OrderTerm } from "../filtering.ts";
import type { LifecycleStage } from "./experiments.ts";
import type { RunSearch } from "./search-run-segments.ts";
import { expectedIds, type KnownRun, plain, store } from "./search-runs.test-support.ts";
import { findRuns } from "./search-runs.ts";

const value = fc.constantFrom(0, 1, -1.5, 2, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY);
const text = fc.constantFrom("", "a", "A", "ab", "b_", "b%", `${"x".repeat(64)}1`, `${"x".repeat(64)}0`);
const few = <Item>(item: fc.Arbitrary<Item>) => fc.dictionary(fc.constantFrom("k", "l"), item, { maxKeys: 2 });

const knownRun = fc.record({
  experiment: fc.constantFrom("1", "1", "1", "2"),
  stage: fc.constantFrom<LifecycleStage>("active", "active", "active", "deleted"),
  name: text,
  start: fc.constantFrom(5, 6, 7),
  end: fc.constantFrom(8, 9, null),
  metrics: few(value),
  params: few(text),
  context: fc.constantFrom("train", "test", null),
});

const operators = (...names: FilterOperator[]) => fc.constantFrom(...names);
const key = fc.constantFrom("k", "l");
const comparison: fc.Arbitrary<FilterComparison> = fc.oneof(
  fc.record({
    entity: fc.constant("metric"),
    key,
    operator: operators("=", "!=", ">", ">=", "<", "<="),
    value: fc.constantFrom(0, 1, -1.5, 0.5),
  }),
  fc.record({ entity: fc.constant("parameter"), key, operator: operators("=", "!=", "LIKE", "ILIKE"), value: text }),
  fc.record({
    entity: fc.constant("parameter"),
    key,
    operator: operators("IS NULL", "IS NOT NULL"),
    value: fc.constant(null),
  }),
  fc.record({
    entity: fc.constant("attribute"),
    key: fc.constantFrom("start_time", "end_time"),
    operator: operators("=", "!=", ">", ">=", "<", "<="),
    value: fc.constantFrom(6, 6.5, 8, 1e300, -(2n ** 63n) - 1n),
  }),
  fc.record({
    entity: fc.constant("attribute"),
    key: fc.constant("run_name"),
    operator: operators("=", "LIKE"),
    value: text,
  }),
  fc.record({
    entity: fc.constant("attribute"),
    key: fc.constant("run_id"),
    operator: operators("IN", "NOT IN"),
    value: fc.uniqueArray(fc.constantFrom("run-0", "run-1", "run-2", "none"), { minLength: 1 }),
  }),
  fc.record({
    entity: fc.constant("dataset"),
    key: fc.constant("context"),
    operator: operators("=", "!="),
    value: fc.constant("train"),
  }),
);

const orderTerm: fc.Arbitrary<OrderTerm> = fc.oneof(
  fc.record({ entity: fc.constantFrom("metric", "metric", "parameter"), key, ascending: fc.boolean() }),
  fc.record({
    entity: fc.constant("attribute"),
    key: fc.constantFrom("start_time", "end_time", "run_name", "run_id"),
    ascending: fc.boolean(),
  }),
);

const search: fc.Arbitrary<RunSearch> = fc.record({
  experimentIds: fc.constantFrom(["1"], ["1"], ["1", "2"], ["3"], []),
  stages: fc.constantFrom<LifecycleStage[]>(["active"], ["active"], ["deleted"], ["active", "deleted"]),
  filter: fc.array(comparison, { maxLength: 3 }),
  order: fc.uniqueArray(orderTerm, { maxLength: 3, selector: (term) => `${term.entity}.${term.key}` }),
});

/** Small bounds, so that a handful of runs makes every way of searching. */
const bounds = fc.constantFrom(
  { few: 1, tried: 1, mostCounted: 5 },
  { few: 0, tried: 1, mostCounted: 1 },
  { few: 2, tried: 2, mostCounted: 100 },
  undefined,
);

describeOnBoth("a search of runs", await startPostgres(), (given) => {
  test("finds what the rules say, in their order, page by page, whichever way it takes", async () => {
    const opened = await given.openDatabase();
    await fc.assert(
      fc.asyncProperty(
        fc.array(knownRun, { maxLength: 12 }),
        fc.array(search, { minLength: 6, maxLength: 6 }),
        fc.integer({ min: 1, max: 4 }),
        bounds,
        async (runs, searches, limit, sizes) => {
          // A project of its own in one database: opening one takes longer than all of the searches.
          const database = { ...opened, projectId: randomUUID() };
          const known = runs.map((run, index) => ({ ...run, id: `run-${index}` }));
          await store(database, known);
          for (const one of searches) {
            const expected = expectedIds(known, one);
            const seen: string[] = [];
            let cursor: string | undefined;
            for (;;) {
              const page = await findRuns(database, one, { limit, cursor }, undefined, sizes);
              seen.push(...page.ids);
              expect(page.ids.length).toBeLessThanOrEqual(limit);
              if (!page.hasMore) break;
              cursor = page.cursorAfter(page.ids.length - 1);
            }
            expect(seen).toEqual(expected);
          }
        },
      ),
      { numRuns: given.kind === "sqlite" ? 40 : 30 },
    );
  }, 120_000);

  test("pages show every run once while runs are added, ended and deleted between them", async () => {
    const database = await given.openDatabase();
    const known = Array.from(
      { length: 20 },
      (_, index): KnownRun => ({
        ...plain,
        id: `run-${String(index).padStart(2, "0")}`,
        metrics: { k: index % 5 },
      }),
    );
    await store(database, known);
    const query: RunSearch = {
      experimentIds: ["1"],
      stages: ["active"],
      filter: [],
      order: [{ entity: "metric", key: "k", ascending: true }],
    };
    const seen: string[] = [];
    let cursor: string | undefined;
    for (let pageNumber = 0; ; pageNumber += 1) {
      const page = await findRuns(database, query, { limit: 3, cursor });
      seen.push(...page.ids);
      if (!page.hasMore) break;
      cursor = page.cursorAfter(page.ids.length - 1);
      // Sorts before all others: with an offset every following page would repeat a run.
      await store(database, [{ ...plain, id: `new-${pageNumber}`, metrics: { k: -1 } }]);
      const gone = page.ids[0] ?? "";
      await database.kysely
        .updateTable("runs")
        .set({ lifecycle_stage: "deleted" })
        .where("project_id", "=", database.projectId)
        .where("run_id", "=", gone)
        .execute();
    }
    expect(seen).toEqual(expectedIds(known, query));
  });

  test("walks between two bounds of what it orders by", async () => {
    const database = await given.openDatabase();
    const known = [0, 1, 2, 3, 4, 5, 6, 7].map((k): KnownRun => ({ ...plain, id: `run-${k}`, metrics: { k } }));
    await store(database, known);
    const bound = (operator: FilterOperator, to: number) => ({ entity: "metric", key: "k", operator, value: to });
    const query: RunSearch = {
      experimentIds: ["1"],
      stages: ["active"],
      filter: [bound(">=", 2), bound("<", 6)],
      order: [{ entity: "metric", key: "k", ascending: false }],
    };
    const page = await findRuns(database, query, { limit: 2, cursor: undefined }, undefined, {
      few: 1,
      tried: 1,
      mostCounted: 9,
    });
    expect(page.ids).toEqual(["run-5", "run-4"]);
    const next = { limit: 5, cursor: page.cursorAfter(1) };
    const rest = await findRuns(database, query, next, undefined, { few: 1, tried: 1, mostCounted: 9 });
    expect(rest).toMatchObject({ ids: ["run-3", "run-2"], hasMore: false });
  });

  test("takes as many comparisons, values and order keys as a filter may have", async () => {
    const database = await given.openDatabase();
    await store(database, [{ ...plain, metrics: { k: 1 }, params: { k: "a" } }]);
    const ids = Array.from({ length: 10_000 }, (_, index) => (index === 9999 ? "a" : `none-${index}`));
    const query: RunSearch = {
      experimentIds: Array.from({ length: 5000 }, (_, index) => String(index)),
      stages: ["active", "deleted"],
      filter: [
        { entity: "attribute", key: "run_id", operator: "IN", value: ids },
        ...Array.from({ length: 49 }, () => ({ entity: "metric", key: "k", operator: ">" as const, value: 0 })),
        ...Array.from({ length: 49 }, () => ({ entity: "parameter", key: "k", operator: "=" as const, value: "a" })),
      ],
      order: Array.from({ length: 20 }, (_, index) => ({ entity: "metric", key: `k${index}`, ascending: true })),
    };
    const page = await findRuns(database, query, { limit: 1, cursor: undefined });
    expect(page.ids).toEqual(["a"]);
    const behind = await findRuns(database, query, { limit: 1, cursor: page.cursorAfter(0) });
    expect(behind.ids).toEqual([]);
  });

  test("gives up when its client has gone", async () => {
    const record = await given.open();
    const gone = AbortSignal.abort();
    const query: RunSearch = { experimentIds: ["0"], stages: ["active"], filter: [], order: [] };
    const page = { limit: 1, cursor: undefined };
    await expect(record.tracking.search.runs(query, page, gone)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect((await record.tracking.search.runs(query, page)).ids).toEqual([]);
  });

  test("refuses a cursor that is not of this search", async () => {
    const database = await given.openDatabase();
    await store(database, [plain, { ...plain, id: "b" }]);
    const query: RunSearch = { experimentIds: ["1"], stages: ["active"], filter: [], order: [] };
    const page = await findRuns(database, query, { limit: 1, cursor: undefined });
    const cursor = page.cursorAfter(0);
    const by = { ...query, order: [{ entity: "metric", key: "k", ascending: true }] };
    const refused = { code: "INVALID_INPUT", message: expect.stringMatching(/^Invalid page token/) };
    await expect(findRuns(database, by, { limit: 1, cursor })).rejects.toMatchObject(refused);
    const damaged = ["", "x", "e30=", "W10=", cursor.slice(4), Buffer.from('{"offset":5}').toString("base64")];
    const content = JSON.parse(Buffer.from(cursor, "base64").toString()) as unknown[];
    for (const place of [[0], [0, 5], [0, "x"], [1], "5", null]) {
      damaged.push(Buffer.from(JSON.stringify([content[0], place, content[2]])).toString("base64"));
    }
    for (const one of damaged) {
      await expect(findRuns(database, query, { limit: 1, cursor: one })).rejects.toMatchObject(refused);
    }
  });
});
