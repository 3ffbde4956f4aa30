import fc from "fast-check";
import { expect, test } from "vitest";
import { losersAt, rungStep } from "./halving.ts";

const maximize = { factor: 3, direction: "maximize" as const };

test("rungs lie at after, after * factor, after * factor^2", () => {
  expect([0, 1, 2, 3].map((rung) => rungStep({ after: 2, factor: 4 }, rung))).toEqual([2, 8, 32, 128]);
  expect(rungStep({ after: 5 }, 1)).toBe(15);
});

test("who is not among the best third of those that came so far is stopped; the first to come goes on", () => {
  expect(losersAt(new Map([[4, 0.1]]), [4], maximize)).toEqual([]);
  const values = new Map([
    [0, 0.5],
    [1, 0.9],
    [2, 0.7],
    [3, 0.8],
    [4, 0.1],
    [5, Number.NaN],
  ]);
  expect(losersAt(values, values.keys(), maximize)).toEqual([0, 2, 4, 5]);
  expect(losersAt(values, values.keys(), { factor: 3, direction: "minimize" })).toEqual([1, 2, 3, 5]);
  expect(losersAt(values, [1, 2], maximize)).toEqual([2]);
});

test("the best goes on, equals share a fate, and as many go on as the factor says", () => {
  const metrics = fc.array(fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constant(Number.NaN)), { minLength: 1 });
  fc.assert(
    fc.property(
      metrics,
      fc.integer({ min: 2, max: 5 }),
      fc.constantFrom("maximize", "minimize"),
      (list, factor, direction) => {
        const values = new Map(list.entries());
        const losers = new Set(losersAt(values, values.keys(), { factor, direction: direction as "maximize" }));
        const kept = [...values].filter(([branch]) => !losers.has(branch));
        expect(kept.length).toBeGreaterThanOrEqual(Math.max(1, Math.floor(list.length / factor)));
        for (const [branch, value] of values) {
          for (const [other, same] of values) {
            if (Object.is(value, same)) expect(losers.has(branch)).toBe(losers.has(other));
          }
        }
      },
    ),
  );
});
