import { expect, test } from "vitest";
import { readTrials } from "./read-trials.ts";

test("trials are read with what they came to; a step that searches nothing has none", () => {
  const values = {
    trials: {
      best: { depth: 3 },
      trial: 1,
      trials: [
        { params: { depth: 2, deep: true }, state: "failed" },
        { params: { depth: 3, deep: false }, state: "succeeded", value: 0.9 },
      ],
    },
  };
  expect(readTrials(values)).toEqual({
    best: 1,
    trials: [
      { number: 0, values: { depth: 2, deep: "true" }, result: null },
      { number: 1, values: { depth: 3, deep: "false" }, result: 0.9 },
    ],
  });
  expect(readTrials({ trials: [1, 2] }).trials).toEqual([]);
  expect(readTrials(undefined).trials).toEqual([]);
});
