import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { startPostgres } from "../../../../../../scripts/servers/postgres.ts";
import type { ProjectRecord } from "../../record.ts";
import { describeOnBoth } from "../../testing/databases.ts";
import { isLater, type MetricPoint } from "../metrics.ts";
import type { LogEntry } from "./log-entry.ts";

async function newRun(record: ProjectRecord): Promise<string> {
  const id = randomUUID().replaceAll("-", "");
  const run = { id, experimentId: "0", parentRunId: undefined, name: "r", userId: "u", startTime: 1, tags: [] };
  expect(await record.tracking.runs.create(run)).toMatchObject({ kind: "created" });
  return id;
}

const entry = (runId: string, parts: Partial<LogEntry>): LogEntry => ({
  runId,
  metrics: [],
  params: [],
  tags: [],
  ...parts,
});
const point = (key: string, step: number, value = step): MetricPoint => ({ key, value, step, timestamp: 1 });
const byKey = (points: readonly MetricPoint[]) => Object.fromEntries(points.map((one) => [one.key, one]));

describeOnBoth("the tracking writer", await startPostgres(), (database) => {
  test("a batch that is split and repeated in any way leaves the same latest values and the same history", async () => {
    const record = await database.open();
    const points = fc.array(
      fc.record({
        key: fc.constantFrom("loss", "accuracy", "f1/macro"),
        step: fc.constantFrom(-1, 0, 1, 2, 2n ** 60n),
        timestamp: fc.constantFrom(0, 1, 1_700_000_000_000),
        value: fc.constantFrom(-1, 0, 0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
      }),
      { minLength: 1, maxLength: 30 },
    );
    await fc.assert(
      fc.asyncProperty(points, fc.infiniteStream(fc.nat(5)), async (all, lengths) => {
        const runId = await newRun(record);
        const parts: MetricPoint[][] = [];
        for (const again of [0, 1]) {
          for (let at = 0; at < all.length; ) {
            const length = 1 + (lengths.next().value ?? 0);
            // Overlapping as well, as a client's retries are.
            parts.push(all.slice(Math.max(0, at - again), at + length));
            at += length;
          }
        }
        await Promise.all(parts.map((metrics) => record.tracking.log(entry(runId, { metrics }))));
        const run = await record.tracking.runs.get(runId);
        for (const key of new Set(all.map((one) => one.key))) {
          const own = all.filter((one) => one.key === key);
          const latest = own.map(stored).reduce((a, b) => (isLater(b, a) ? b : a));
          expect(byKey(run?.metrics ?? [])[key]).toMatchObject({ step: latest.step, timestamp: latest.timestamp });
          expect(stored(byKey(run?.metrics ?? [])[key] as MetricPoint)).toEqual(latest);
          const { points: history } = await record.tracking.history.page(runId, key, 1000);
          expect(new Set(history.map(identity))).toEqual(new Set(own.map(identity)));
          expect(history).toHaveLength(new Set(own.map(identity)).size);
        }
      }),
      { numRuns: 30 },
    );
  });

  test("of many that log at once each gets its own answer, and a refused one spoils nothing", async () => {
    const record = await database.open();
    const [one, two, deleted] = [await newRun(record), await newRun(record), await newRun(record)];
    await record.tracking.runs.setStage(deleted, "deleted");
    await record.tracking.log(entry(one, { params: [{ key: "rate", value: "1" }] }));
    const outcomes = await Promise.all([
      record.tracking.log(entry(one, { metrics: [point("loss", 1)], tags: [{ key: "t", value: "a" }] })),
      record.tracking.log(entry("absent", { metrics: [point("loss", 1)] })),
      record.tracking.log(entry(deleted, { metrics: [point("loss", 1)] })),
      record.tracking.log(entry(two, { within: "7", metrics: [point("loss", 1)] })),
      record.tracking.log(
        entry(one, {
          params: [{ key: "rate", value: "2" }],
          metrics: [point("lost", 1)],
          tags: [{ key: "t", value: "no" }],
        }),
      ),
      record.tracking.log(entry(two, { params: [{ key: "rate", value: "2" }], metrics: [point("loss", 2)] })),
      record.tracking.log(entry(two, { params: [{ key: "rate", value: "3" }] })),
      record.tracking.log(entry(one, { tags: [{ key: "t", value: "b" }] })),
    ]);
    expect(outcomes).toEqual([
      { kind: "logged" },
      { kind: "missing" },
      { kind: "deleted" },
      { kind: "foreign", experimentId: "0" },
      { kind: "params-differ", params: [{ key: "rate", stored: "1", given: "2" }] },
      { kind: "logged" },
      { kind: "params-differ", params: [{ key: "rate", stored: "2", given: "3" }] },
      { kind: "logged" },
    ]);
    expect(await record.tracking.runs.get(one)).toMatchObject({
      metrics: [point("loss", 1)],
      params: [{ key: "rate", value: "1" }],
      tags: [{ key: "t", value: "b" }],
    });
    expect(await record.tracking.runs.get(two)).toMatchObject({
      metrics: [point("loss", 2)],
      params: [{ key: "rate", value: "2" }],
    });
    expect((await record.tracking.runs.get(deleted))?.metrics).toEqual([]);
  });

  test("what the database itself refuses fails alone", async () => {
    const record = await database.open();
    const [one, two] = [await newRun(record), await newRun(record)];
    const [good, bad, more] = await Promise.allSettled([
      record.tracking.log(entry(one, { metrics: [point("a", 1)] })),
      record.tracking.log(entry(two, { tags: [{ key: "t", value: "nul \0" }] })),
      record.tracking.log(entry(two, { metrics: [point("b", 1)] })),
    ]);
    expect(good).toMatchObject({ status: "fulfilled", value: { kind: "logged" } });
    expect(bad).toMatchObject({ status: "rejected", reason: { code: "INVALID_INPUT" } });
    expect(more).toMatchObject({ status: "fulfilled", value: { kind: "logged" } });
    expect((await record.tracking.runs.get(two))?.metrics).toEqual([point("b", 1)]);
    expect((await record.tracking.runs.get(one))?.metrics).toEqual([point("a", 1)]);
  });

  test("runs that are made at once are all there, and where the experiment takes none it is said", async () => {
    const record = await database.open();
    const id = () => randomUUID().replaceAll("-", "");
    const gone = (await record.tracking.experiments.create({ name: "gone", tags: [] })) ?? "";
    await record.tracking.experiments.setStage(gone, "deleted");
    const run = {
      parentRunId: undefined,
      name: "n",
      userId: "u",
      startTime: undefined,
      tags: [{ key: "k", value: "v" }],
    };
    const outcomes = await Promise.all([
      ...Array.from({ length: 20 }, () => record.tracking.runs.create({ ...run, id: id(), experimentId: "0" })),
      record.tracking.runs.create({ ...run, id: id(), experimentId: "99" }),
      record.tracking.runs.create({ ...run, id: id(), experimentId: gone }),
    ]);
    expect(outcomes.slice(20)).toEqual([{ kind: "missing" }, { kind: "deleted" }]);
    for (const outcome of outcomes.slice(0, 20)) {
      if (outcome.kind !== "created") throw new Error(outcome.kind);
      expect(await record.tracking.runs.get(outcome.run.id)).toEqual(outcome.run);
      expect(outcome.run.startTime).toBeGreaterThan(1_700_000_000_000);
    }
  });

  test("more than one statement holds is written whole", async () => {
    const record = await database.open();
    const run = await newRun(record);
    const metrics = Array.from({ length: 1000 }, (_, index) => point(`k${index % 777}`, index));
    await record.tracking.log(entry(run, { metrics }));
    const stored = (await record.tracking.runs.get(run))?.metrics ?? [];
    expect(stored).toHaveLength(777);
    expect(byKey(stored)).toEqual(byKey(metrics));
  });
});

/** As the record keeps it: NaN as a flag. */
function stored({ value, step, timestamp }: MetricPoint) {
  const isNan = Number.isNaN(value);
  return { step, timestamp, value: isNan ? 0 : value, is_nan: isNan ? 1 : 0 };
}

function identity(one: MetricPoint): string {
  return Object.values(stored(one)).join();
}
