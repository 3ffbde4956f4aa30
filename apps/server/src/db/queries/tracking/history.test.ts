import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { startPostgres } from "../../../../../../scripts/servers/postgres.ts";
import type { ProjectRecord } from "../../record.ts";
import { describeOnBoth } from "../../testing/databases.ts";
import type { MetricPoint } from "../metrics.ts";
import { samplePlaces } from "./history.ts";

async function logged(record: ProjectRecord, metrics: readonly MetricPoint[]): Promise<string> {
  const id = randomUUID().replaceAll("-", "");
  await record.tracking.runs.create({
    id,
    experimentId: "0",
    parentRunId: undefined,
    name: "r",
    userId: "u",
    startTime: 1,
    tags: [],
  });
  await record.tracking.log({ runId: id, metrics, params: [], tags: [] });
  return id;
}

type Order = (point: MetricPoint) => (number | bigint)[];
const flag = (point: MetricPoint): number => (Number.isNaN(point.value) ? 1 : 0);
const value = (point: MetricPoint): number => (Number.isNaN(point.value) ? 0 : point.value);
const byTime: Order = (point) => [point.timestamp, point.step, value(point), flag(point)];
const byStep: Order = (point) => [point.step, point.timestamp, value(point), flag(point)];

function inOrder(points: readonly MetricPoint[], order: Order): MetricPoint[] {
  const unique = [...new Map(points.map((point) => [byTime(point).join(), point])).values()];
  return unique.sort((a, b) => {
    const [first, second] = [order(a), order(b)];
    const at = first.findIndex((part, index) => part !== second[index]);
    return at === -1 ? 0 : (first[at] as number) < (second[at] as number) ? -1 : 1;
  });
}

const anyPoints = fc.array(
  fc.record({
    key: fc.constant("loss"),
    step: fc.constantFrom(-(2n ** 62n), -1, 0, 1, 2, 3, 2n ** 62n),
    timestamp: fc.constantFrom(0, 1, 2, 2n ** 62n),
    value: fc.constantFrom(-1, 0, 0.1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
  }),
  { minLength: 1, maxLength: 25 },
);

describeOnBoth("histories of metrics", await startPostgres(), (database) => {
  test("pages of any size give every point once, by (timestamp, step, value)", async () => {
    const record = await database.open();
    await fc.assert(
      fc.asyncProperty(anyPoints, fc.integer({ min: 1, max: 7 }), async (points, limit) => {
        const runId = await logged(record, points);
        const found: MetricPoint[] = [];
        let next: string | undefined;
        do {
          const page = await record.tracking.history.page(runId, "loss", limit, next);
          expect(page.points.length).toBeLessThanOrEqual(limit);
          found.push(...page.points);
          ({ next } = page);
        } while (next !== undefined);
        expect(found).toEqual(inOrder(points, byTime));
      }),
      { numRuns: 40 },
    );
  });

  test("a sample is the first of each share and the last of all, by (step, timestamp, value)", async () => {
    const record = await database.open();
    const even = fc
      .record({ count: fc.integer({ min: 1, max: 40 }), distance: fc.integer({ min: 1, max: 3 }) })
      .map(({ count, distance }) =>
        Array.from({ length: count }, (_, index) => ({
          key: "loss",
          step: index * distance,
          timestamp: 9,
          value: index,
        })),
      );
    await fc.assert(
      fc.asyncProperty(fc.oneof(anyPoints, even), fc.integer({ min: 1, max: 12 }), async (points, limit) => {
        const runId = await logged(record, points);
        const all = inOrder(points, byStep);
        const wanted = all.length <= limit ? all : samplePlaces(all.length, limit).map((place) => all[place]);
        const sample = await record.tracking.history.sample(runId, "loss", limit);
        expect(sample).toEqual(wanted.map((point) => ({ runId, ...point })));
      }),
      { numRuns: 60 },
    );
  });

  test("a sample of some steps has no others, and an absent run or key has none", async () => {
    const record = await database.open();
    const runId = await logged(
      record,
      Array.from({ length: 100 }, (_, step) => ({ key: "loss", step, timestamp: step, value: step })),
    );
    const steps = async (limit: number, from: number, to: number) =>
      (await record.tracking.history.sample(runId, "loss", limit, [from, to])).map(({ step }) => step);
    expect(await steps(4, 10, 19)).toEqual([10, 13, 16, 19]);
    expect(await steps(2500, 98, 200)).toEqual([98, 99]);
    expect(await steps(1, 0, 99)).toEqual([99]);
    expect(await steps(5, 200, 300)).toEqual([]);
    expect(await record.tracking.history.sample(runId, "absent", 5)).toEqual([]);
    expect(await record.tracking.history.page("absent", "loss", 5)).toEqual({ points: [] });
  });

  test("histories of several runs come by run, each in its order, and no more than asked for", async () => {
    const record = await database.open();
    const points = [2, 0, 1].map((step) => ({ key: "loss", step, timestamp: step, value: step }));
    const ids = [await logged(record, points), await logged(record, points)].sort();
    const found = await record.tracking.history.ofRuns([...ids].reverse(), "loss", 5);
    expect(found.map(({ runId, step }) => [ids.indexOf(runId), step])).toEqual([
      [0, 0],
      [0, 1],
      [0, 2],
      [1, 0],
      [1, 1],
    ]);
  });
});

test("places of a sample: as even as whole numbers allow", () => {
  expect(samplePlaces(10, 3)).toEqual([0, 4, 9]);
  expect(samplePlaces(10, 10)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(samplePlaces(10, 1)).toEqual([9]);
});
