import { expect, test } from "vitest";
import { comparedIds, readCompareAddress } from "./compare-address.ts";

test("runs are read once each, in order, no more than can be compared", () => {
  expect(comparedIds("b, a,b,,<script>")).toEqual(["b", "a"]);
  expect(comparedIds(Array.from({ length: 30 }, (_, index) => `r${index}`).join(","))).toHaveLength(20);
  expect(comparedIds(7)).toEqual([]);
});

test("how curves are drawn is read; what is not understood is left out", () => {
  expect(readCompareAddress({ runs: "a,b", axis: "time", log: true, smooth: 60 })).toEqual({
    runs: "a,b",
    axis: "time",
    log: true,
    smooth: 60,
  });
  expect(readCompareAddress({ axis: "step", log: "no", smooth: 400 })).toEqual({});
});
