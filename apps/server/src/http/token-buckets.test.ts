import fc from "fast-check";
import { expect, test } from "vitest";
import { createTokenBuckets } from "./token-buckets.ts";

test("a burst is let through, then as many as come back; each key has its own", () => {
  let time = 0;
  const buckets = createTokenBuckets({ perSecond: 10, burst: 3, now: () => time });
  expect([1, 2, 3, 4].map(() => buckets.take("a"))).toEqual([0, 0, 0, 100]);
  expect(buckets.wait("a")).toBe(100);
  expect(buckets.take("b")).toBe(0);
  time = 99;
  expect(buckets.take("a")).toBe(1);
  time = 100;
  expect(buckets.take("a")).toBe(0);
  time = 60_000;
  expect([1, 2, 3, 4].map(() => buckets.take("a"))).toEqual([0, 0, 0, 100]);
});

test("never more than the burst and what came back, however requests are spread", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 200 }), (gaps) => {
      let time = 0;
      const buckets = createTokenBuckets({ perSecond: 10, burst: 5, now: () => time });
      let taken = 0;
      for (const gap of gaps) {
        time += gap;
        if (buckets.take("a") === 0) taken += 1;
        expect(taken).toBeLessThanOrEqual(5 + time / 100);
      }
    }),
  );
});

test("keys are forgotten, the longest unused first", () => {
  const buckets = createTokenBuckets({ perSecond: 1, burst: 1, mostKeys: 2, now: () => 0 });
  for (const key of ["a", "b", "c"]) buckets.take(key);
  expect(["c", "b", "a"].map((key) => buckets.wait(key) > 0)).toEqual([true, true, false]);
});
