import { describe, expect, test } from "vitest";
import { ago, bytes, decimal, duration, exactInstant, plural, shortDigest } from "./words.ts";

describe("words", () => {
  test.each([
    [0, "0 ms"],
    [999, "999 ms"],
    [3_240, "3.2 s"],
    [245_000, "4 min 05 s"],
    [7_800_000, "2 h 10 min"],
    [273_600_000, "3 d 4 h"],
  ])("a duration of %d ms is %s", (milliseconds, text) => expect(duration(milliseconds)).toBe(text));

  test.each([
    [999, "999 B"],
    [1_500, "1.5 kB"],
    [123_456_789, "123 MB"],
  ])("%d bytes are %s", (size, text) => expect(bytes(size)).toBe(text));

  test.each([
    [0.812345678, "0.81235"],
    [0, "0"],
    [0.00000123, "1.230e-6"],
    ["NaN", "NaN"],
  ])("the metric %s is %s", (value, text) => expect(decimal(value)).toBe(text));

  test("times tell how long ago, and exactly when", () => {
    expect(ago(0, 180_000)).toBe("3 minutes ago");
    expect(ago(7_200_000, 0)).toBe("in 2 hours");
    expect(ago(0, 30_000)).toBe("just now");
    expect(Date.parse(exactInstant(1_234_567_890_123))).toBe(1_234_567_890_123);
  });

  test("one and many", () => {
    expect(plural(1, "run")).toBe("1 run");
    expect(plural(12_000, "run")).toBe("12,000 runs");
    expect(shortDigest(`sha256:${"ab".repeat(32)}`)).toBe("ababababab");
  });
});
