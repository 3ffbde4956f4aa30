import type { Curve } from "@espalier/contract";
import { expect, test } from "vitest";
import { groupCurves } from "./group-curves.ts";

const curve = (key: string, attemptId: string, points = 9): Curve => ({
  step: "train",
  branch: -1,
  attemptId,
  key,
  points,
  notANumber: 0,
  by: "step",
  buckets: [],
});

test("one chart a key, the runs keep their strokes, and the last attempt counts", () => {
  const groups = groupCurves([
    { name: "one", curves: [curve("loss", "2"), curve("loss", "1"), curve("rows", "2", 1)] },
    { name: "two", curves: [] },
    { name: "three", curves: [curve("loss", "7"), curve("auc", "7")] },
  ]);
  expect(groups.map(({ title }) => title)).toEqual(["train · auc", "train · loss"]);
  expect(groups[1]?.curves.map(({ name, stroke, curve: { attemptId } }) => [name, stroke, attemptId])).toEqual([
    ["one", 0, "2"],
    ["three", 2, "7"],
  ]);
});
