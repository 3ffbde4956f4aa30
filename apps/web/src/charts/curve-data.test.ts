import type { Curve } from "@espalier/contract";
import { expect, test } from "vitest";
import { columnsOf, curveWords, smooth } from "./curve-data.ts";

const bucket = (from: number, at: number, low: number | "Infinity", high: number | "Infinity") => ({
  from,
  to: from,
  at,
  low,
  high,
  mean: typeof low === "number" && typeof high === "number" ? (low + high) / 2 : ("Infinity" as const),
  points: 2,
});
const curve: Curve = {
  step: "train",
  branch: -1,
  attemptId: "a",
  key: "loss",
  points: 7,
  notANumber: 1,
  by: "step",
  buckets: [bucket(0, 5000, 1, 3), bucket(10, 7500, 2, "Infinity")],
};

test("x is the training step, or seconds from the first point", () => {
  expect(columnsOf(curve, "step").x).toEqual([0, 10]);
  expect(columnsOf(curve, "time").x).toEqual([0, 2.5]);
  expect(columnsOf(curve, "clock").x).toEqual([5, 7.5]);
});

test("what is not finite leaves a gap", () => {
  const { low, high, mean } = columnsOf(curve, "step");
  expect([low, high, mean]).toEqual([
    [1, 2],
    [3, null],
    [2, null],
  ]);
});

test("smoothing keeps a level, the first value and gaps, and follows a step", () => {
  expect(smooth([4, 4, 4], 0.9).every((value) => Math.abs((value ?? 0) - 4) < 1e-12)).toBe(true);
  expect(smooth([7, null, 7], 0.5)[1]).toBeNull();
  const [, after] = smooth([0, 1], 0.5);
  expect(after).toBeCloseTo(2 / 3, 12);
  expect(smooth([1, 5], 0)).toEqual([1, 5]);
});

test("words tell extremes, the end, and what is no number", () => {
  expect(curveWords(curve, String)).toBe("7 points from 1 to 3, 1 not a number");
});
