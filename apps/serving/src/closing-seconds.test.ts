import { expect, it } from "vitest";
import { closingSeconds } from "./closing-seconds.ts";

it("leaves requests what the platform does, some seconds after any drain, and their own time behind a successor", () => {
  expect([0, 5, 15, 60].map((drained) => closingSeconds(drained, false))).toEqual([25, 20, 10, 10]);
  expect(closingSeconds(0, true)).toBe(3600);
});
