import { changeTopics } from "@espalier/contract";
import { expect, test } from "vitest";
import { isTouched } from "./topics.ts";

test("a change asks again what it may have changed, and nothing else", () => {
  expect(isTouched(["runs.list", { state: "failed" }], ["runs"])).toBe(true);
  expect(isTouched(["models.versions", "flights"], ["runs", "data"])).toBe(false);
  expect(isTouched(["home", 6], ["models"])).toBe(true);
  expect(isTouched(["maturity.get"], changeTopics)).toBe(false);
  expect(isTouched([3], changeTopics)).toBe(false);
});
