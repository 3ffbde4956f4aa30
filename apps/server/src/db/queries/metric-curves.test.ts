import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { startPostgres } from "../../../../../scripts/servers/postgres.ts";
import { describeOnBoth } from "../testing/databases.ts";
import { newRun } from "../testing/runs.ts";
import type { MetricPoint } from "./metrics.ts";

describeOnBoth("curves of metrics", await startPostgres(), (database) => {
  async function logged(points: readonly Omit<MetricPoint, "key">[]) {
    const record = await database.open();
    const run = newRun();
    await record.engine.createRun(run);
    const epoch = (await record.engine.claimRuns("one", 60)).find(({ id }) => id === run.id)?.leaseEpoch ?? 0;
    const step = { runId: run.id, step: "train", branch: -1 };
    const attempt = { id: randomUUID(), ...step, number: 1, tool: "embedded/process" };
    await record.engine.moveRun(run.id, epoch, { from: ["queued"], to: "running" });
    await record.engine.moveStep(step, epoch, { from: ["pending"], to: "running" });
    await record.engine.createAttempt(epoch, attempt);
    await record.runMetrics.log(
      attempt.id,
      points.map((point) => ({ key: "loss", ...point })),
    );
    return { record, run, attempt };
  }

  test("no peak is lost in a bucket, and none is made up", async () => {
    const points = Array.from({ length: 1000 }, (_, step) => ({ step, timestamp: step, value: step === 437 ? 99 : 1 }));
    const { record, run, attempt } = await logged(points);
    const { curves, leftOut } = await record.curves.ofRun(run.id, { key: "loss" }, 10);
    expect(leftOut).toBe(0);
    expect(curves).toMatchObject([{ step: "train", attemptId: attempt.id, points: 1000, notANumber: 0, by: "step" }]);
    const buckets = curves[0]?.buckets ?? [];
    expect(buckets).toHaveLength(10);
    expect(buckets[4]).toEqual({ from: 400, to: 499, at: 400, low: 1, high: 99, mean: 1.98, points: 100 });
    expect(Math.max(...buckets.filter((_, index) => index !== 4).map(({ high }) => high))).toBe(1);
  });

  test("few points are all there, gaps stay gaps, and what is no number is counted apart", async () => {
    const { record, run } = await logged([
      { step: -5, timestamp: 1, value: 3 },
      { step: 0, timestamp: 2, value: Number.NaN },
      { step: 90, timestamp: 3, value: Number.POSITIVE_INFINITY },
      { step: 2n ** 62n, timestamp: 4, value: 8 },
    ]);
    const [curve] = (await record.curves.ofRun(run.id, {}, 400)).curves;
    expect(curve).toMatchObject({ points: 3, notANumber: 1 });
    expect(curve?.buckets.map(({ from, high }) => [from, high])).toEqual([
      [-5, 3],
      [90, Number.POSITIVE_INFINITY],
    ]);
  });

  test("points without steps are cut by time", async () => {
    const points = Array.from({ length: 100 }, (_, index) => ({ step: 0, timestamp: 5000 + index * 10, value: index }));
    const { record, run } = await logged(points);
    const [curve] = (await record.curves.ofRun(run.id, {}, 4)).curves;
    expect(curve?.by).toBe("time");
    expect(curve?.buckets.map(({ at, low, high }) => [at, low, high])).toEqual([
      [5000, 0, 24],
      [5250, 25, 49],
      [5500, 50, 74],
      [5750, 75, 99],
    ]);
  });

  test("step, branch and key choose", async () => {
    const { record, run } = await logged([{ step: 1, timestamp: 1, value: 1 }]);
    const count = async (filter: object) => (await record.curves.ofRun(run.id, filter, 4)).curves.length;
    expect(await count({ step: "train", branch: -1 })).toBe(1);
    expect(await count({ branch: 0 })).toBe(0);
    expect(await count({ step: "other" })).toBe(0);
    expect(await count({ key: "auc" })).toBe(0);
  });
});
