import { expect, test } from "vitest";
import { readRunAddress } from "./run-address.ts";

test("step, branch and attempt are read; what is no such thing is left out", () => {
  expect(readRunAddress({ step: "train", branch: "3", attempt: 2 })).toEqual({ step: "train", branch: 3, attempt: 2 });
  expect(readRunAddress({ step: "train", branch: -1, attempt: "0" })).toEqual({ step: "train" });
  expect(readRunAddress({ step: "train", branch: "x", attempt: 1.5 })).toEqual({ step: "train" });
});

test("a branch without a step says nothing", () => {
  expect(readRunAddress({ branch: 3 })).toEqual({});
  expect(readRunAddress({ step: "" })).toEqual({});
});
