import { expect, test } from "vitest";
import { type ForeseenStep, foresee, median } from "./foresee.ts";

const step = (name: string, needs: string[], more: Partial<ForeseenStep> = {}): ForeseenStep => ({
  step: name,
  needs,
  action: "run",
  expectedSeconds: 10,
  dollarsAnHour: 0,
  ...more,
});

test("time is that of the longest path, of what would run", () => {
  const steps = [step("a", []), step("b", ["a"], { expectedSeconds: 30 }), step("c", ["a"]), step("d", ["b", "c"])];
  expect(foresee(steps).seconds).toBe(50);
  expect(
    foresee([steps[0] as ForeseenStep, step("b", ["a"], { action: "cached", expectedSeconds: 30 }), step("c", ["b"])])
      .seconds,
  ).toBe(20);
});

test("what is not known is named, and not guessed", () => {
  const forecast = foresee([
    step("new", [], { expectedSeconds: undefined }),
    step("dear", ["new"], { expectedSeconds: undefined, dollarsAnHour: 2 }),
    step("silent", ["new"], { dollarsAnHour: null }),
    step("known", ["new"], { expectedSeconds: 1800, dollarsAnHour: 2 }),
    step("skipped", [], { action: "skip", expectedSeconds: undefined, dollarsAnHour: null }),
  ]);
  expect(forecast).toEqual({
    seconds: 1800,
    dollars: 1,
    unknownSteps: ["new", "dear"],
    unpricedSteps: ["dear", "silent"],
  });
});

test("the median of an even number is between the middle two", () => {
  expect([median([]), median([3]), median([4, 1, 9]), median([4, 1, 9, 5])]).toEqual([undefined, 3, 4, 4.5]);
});
