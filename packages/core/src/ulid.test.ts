import { expect, test } from "vitest";
import { ulid } from "./ulid.ts";

test("a ULID has 26 characters of Crockford's base 32 and begins with its time", () => {
  // Time part of the specification's example, 01ARYZ6S41TSV4RRFFQ69G5FAV.
  expect(ulid(1_469_918_176_385)).toMatch(/^01ARYZ6S41[0-9A-HJKMNP-TV-Z]{16}$/);
  expect(ulid(2 ** 48 - 1)).toMatch(/^7ZZZZZZZZZ/);
});

test("later ids sort after earlier ones, and no two are equal", () => {
  expect(ulid(2) > ulid(1)).toBe(true);
  expect(new Set(Array.from({ length: 10_000 }, () => ulid(1))).size).toBe(10_000);
});
