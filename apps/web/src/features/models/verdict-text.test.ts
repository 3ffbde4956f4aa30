import { expect, test } from "vitest";
import { verdictText } from "./verdict-text.ts";

test("a verdict is told with its interval, and without one where the gate wrote none", () => {
  const difference = { value: 0.0123, lower: -0.001, upper: 0.02 };
  expect(verdictText({ outcome: "passed", verdict: { metric: "auc", difference } })).toBe(
    "passed, auc +0.0123 (−0.0010 to +0.0200)",
  );
  expect(verdictText({ outcome: "refused", verdict: { metric: "auc" } })).toBe("refused, auc");
  expect(verdictText({ outcome: "inconclusive", verdict: null })).toBe("inconclusive");
  expect(verdictText(undefined)).toBeUndefined();
});
