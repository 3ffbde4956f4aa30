import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CompiledQuery } from "kysely";
import { expect, onTestFinished, test } from "vitest";
import { openDatabase, type RecordDatabase } from "../../database.ts";
import type { RunSearch } from "./search-run-segments.ts";
import { expectedIds, type KnownRun, plain, store } from "./search-runs.test-support.ts";
import { findRuns } from "./search-runs.ts";

test("reads one row a run for a comparison, and not all rows above its bound", async () => {
  const folder = mkdtempSync(join(tmpdir(), "espalier-plans-"));
  const database = await openDatabase({ sqlitePath: join(folder, "record.db") }, "plans");
  onTestFinished(async () => {
    await database.kysely.destroy();
    rmSync(folder, { recursive: true, force: true });
  });
  const made = Array.from({ length: 300 }, (_, index): KnownRun => {
    const name = `run-${String(index).padStart(3, "0")}`;
    return { ...plain, id: name, metrics: { k: index, l: -index } };
  });
  await store(database, made);
  // At odds: whoever walks from the greatest k meets what the filter keeps only at the end.
  const above = (value: number) => ({ entity: "metric", key: "l", operator: ">" as const, value });
  const byMetric = { entity: "metric", key: "k", ascending: false };
  const byId = { entity: "attribute", key: "run_id", ascending: true };
  const two = [above(-150), above(-200)];
  const one = [above(-150)];
  for (const [filter, order, mostCounted] of [
    [two, [byMetric], 1000],
    [one, [byMetric], 10],
    [two, [byId, byMetric], 1000],
    [one, [byId, byMetric], 10],
  ] as const) {
    const sizes = { few: 0, tried: 10, mostCounted };
    const query: RunSearch = { experimentIds: ["1"], stages: ["active"], filter, order };
    const { watched, plans } = watchPlans(database);
    const found = await findRuns(watched, query, { limit: 100, cursor: undefined }, undefined, sizes);
    expect(found.ids).toEqual(expectedIds(made, query).slice(0, 100));
    const steps = await plans();
    expect(steps.filter((step) => step.includes("latest_metrics_by_value")).length).toBeGreaterThan(0);
    expect(steps.filter((step) => /EXISTS|\bf\b/.test(step) && step.includes("by_value"))).toEqual([]);
    expect(steps.filter((step) => step.startsWith("SCAN r "))).toEqual([]);
  }
});

/** SQLite's plan of each query that goes through the reader. */
function watchPlans(database: RecordDatabase): { watched: RecordDatabase; plans(): Promise<string[]> } {
  const queries: CompiledQuery[] = [];
  const reader = database.reader.withoutPlugins();
  const executor = reader.getExecutor();
  const execute = executor.executeQuery.bind(executor);
  executor.executeQuery = (query, options) => {
    queries.push(query);
    return execute(query, options);
  };
  reader.getExecutor = () => executor;
  return {
    watched: { ...database, reader },
    async plans() {
      const steps: string[] = [];
      for (const { sql: text, parameters } of queries) {
        const plan = CompiledQuery.raw(`EXPLAIN QUERY PLAN ${text}`, [...parameters]);
        const { rows } = await database.kysely.executeQuery<{ detail: string }>(plan);
        steps.push(...rows.map(({ detail }) => detail));
      }
      return steps;
    },
  };
}
