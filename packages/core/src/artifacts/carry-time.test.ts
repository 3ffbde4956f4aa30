import { expect, test } from "vitest";
import { carryTime } from "./carry-time.ts";

test("the slower of objects and bytes decides, and the speeds are told", () => {
  expect(carryTime({ artifacts: 100_000, bytes: 450e6 }, "disk")).toMatchObject({ low: 20, high: 100 });
  expect(carryTime({ artifacts: 10, bytes: 100e9 }, "network")).toMatchObject({ low: 400, high: 100e9 / 1e6 / 12 });
  expect(carryTime({ artifacts: 0, bytes: 0 }, "network")).toEqual({
    low: 0,
    high: 0,
    assumed: "12 to 250 MB a second and 100 to 1,500 objects a second, by network",
  });
});
