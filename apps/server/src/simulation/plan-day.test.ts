import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { batchId, planDay, predictionIds, singleId } from "./plan-day.ts";

const settings = fc.record({
  seed: fc.nat(),
  rows: fc.nat(5000),
  share: fc.double({ min: 0, max: 1, noNaN: true }),
  batchRows: fc.integer({ min: 2, max: 700 }),
});

describe("the plan of a day", () => {
  it("sends every row once, under an id of its own, in batches of two rows or more", () => {
    fc.assert(
      fc.property(settings, ({ seed, rows, share, batchRows }) => {
        const plan = planDay(seed, "2001-04-01", rows, share, batchRows);
        const sent = [...plan.singles, ...plan.batches.flat()].sort((a, b) => a - b);
        expect(sent).toEqual(Array.from({ length: rows }, (_, row) => row));
        expect(plan.batches.every((batch) => batch.length >= 2 && batch.length <= batchRows)).toBe(true);
        const ids = predictionIds(seed, "2001-04-01", plan);
        expect(new Set(ids).size).toBe(rows);
      }),
    );
  });

  it("is the same every time, and another on another day", () => {
    const plan = planDay(7, "2001-04-01", 1000, 0.05, 400);
    expect(planDay(7, "2001-04-01", 1000, 0.05, 400)).toEqual(plan);
    expect(planDay(7, "2001-04-02", 1000, 0.05, 400).singles).not.toEqual(plan.singles);
    expect(planDay(8, "2001-04-01", 1000, 0.05, 400).singles).not.toEqual(plan.singles);
  });

  it("takes about the share that was asked for", () => {
    const { singles } = planDay(7, "2001-04-01", 100_000, 0.05, 4000);
    // Five standard deviations of a binomial count.
    expect(Math.abs(singles.length - 5000)).toBeLessThan(345);
  });

  it("names rows of a batch as the model server does", () => {
    const plan = { singles: [1], batches: [[0, 2]] };
    const [first, second, third] = predictionIds(7, "2001-04-01", plan);
    expect(second).toBe(singleId(7, "2001-04-01", 1));
    expect([first, third]).toEqual([`${batchId(7, "2001-04-01", 0)}-0`, `${batchId(7, "2001-04-01", 0)}-1`]);
  });
});
