import { expect, test } from "vitest";
import { axisOver } from "./parallel.ts";

test("numbers lie by size, and by their logarithm over powers of ten", () => {
  const depth = axisOver("depth", [2, 4, 8], String);
  expect([2, 5, 8, null].map((value) => depth.place(value))).toEqual([0, 0.5, 1, null]);
  const rate = axisOver("rate", [0.001, 0.1, 1], String);
  expect(rate.place(0.001)).toBe(0);
  expect(rate.place(0.1)).toBeCloseTo(2 / 3, 12);
  expect(rate.ticks.map(({ label }) => label)).toEqual(["0.001", "1"]);
});

test("texts lie by name, and one value alone in the middle", () => {
  const kind = axisOver("kind", ["b", "a", "c", "a"], String);
  expect(["a", "b", "c"].map((value) => kind.place(value))).toEqual([0, 0.5, 1]);
  expect(axisOver("one", [3, 3], String).place(3)).toBe(0.5);
  expect(axisOver("none", [null], String).ticks).toEqual([]);
});
