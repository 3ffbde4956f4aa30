import fc from "fast-check";
import { expect, test } from "vitest";
import { readDuration, readTimestamp, writeDuration, writeTimestamp } from "./times.ts";

test.each([
  ["2026-11-25T22:31:23.883Z", 1_795_645_883_883],
  ["2026-11-25T22:31:23.883456Z", 1_795_645_883_883],
  ["2026-11-25T22:31:23Z", 1_795_645_883_000],
  ["2026-11-26T00:31:23+02:00", 1_795_645_883_000],
  ["1970-01-01T00:00:00Z", 0],
  ["yesterday", undefined],
  ["2026-13-45T00:00:00Z", undefined],
  ["", undefined],
])("%s is %s", (text, expected) => {
  expect(readTimestamp(text)).toBe(expected);
});

test.each([
  ["0.063s", 63],
  ["1.5s", 1500],
  ["0s", 0],
  ["-2.001s", -2001],
  ["1.000000001s", 1000],
  ["5", undefined],
  ["", undefined],
])("%s lasts %s", (text, expected) => {
  expect(readDuration(text)).toBe(expected);
});

test("what is written is read back", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 253_402_300_799_999 }),
      (time) => readTimestamp(writeTimestamp(time)) === time,
    ),
  );
  fc.assert(
    fc.property(fc.integer({ min: -1e12, max: 1e12 }), (time) => {
      expect(readDuration(writeDuration(time))).toBe(time);
    }),
  );
  expect(writeTimestamp(Number.MAX_SAFE_INTEGER)).toBe("9999-12-31T23:59:59.999Z");
});
