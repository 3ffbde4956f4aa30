import { expect, test } from "vitest";
import { readSignInAddress } from "./sign-in-address.ts";

test("signing in leads to a page of this UI, and nowhere else", () => {
  expect(readSignInAddress({ to: "/runs/01J?tab=log" })).toEqual({ to: "/runs/01J?tab=log" });
  for (const to of [
    undefined,
    5,
    "",
    "runs",
    "//elsewhere.example",
    "/\\elsewhere.example",
    "https://elsewhere.example",
    "/sign-in?to=/x",
  ]) {
    expect(readSignInAddress({ to })).toEqual({ to: "/runs" });
  }
});
