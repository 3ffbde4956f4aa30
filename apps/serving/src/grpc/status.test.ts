import { type ErrorCode, EspalierError, errorTable } from "@espalier/core";
import { expect, test } from "vitest";
import { escapeStatusMessage, statusMessage, statusOf } from "./status.ts";

const statusOfCode = (code: ErrorCode): number => statusOf(new EspalierError(code, "m"));

test.each<[ErrorCode, number]>([
  ["INVALID_INPUT", 3],
  ["SIGNATURE_MISMATCH", 3],
  ["TIMEOUT", 4],
  ["NOT_FOUND", 5],
  ["TOO_LARGE", 8],
  ["RATE_LIMITED", 8],
  ["UNSUPPORTED", 12],
  ["INTERNAL", 13],
  ["UNAVAILABLE", 14],
  ["DISK_FULL", 14],
])("%s is status %i", (code, expected) => {
  expect(statusOfCode(code)).toBe(expected);
});

test("every error has a status, and none is OK or unknown", () => {
  for (const code of Object.keys(errorTable) as ErrorCode[]) {
    expect([1, 3, 4, 5, 6, 7, 8, 10, 12, 13, 14, 15, 16], code).toContain(statusOfCode(code));
  }
});

test("the place is said once", () => {
  const error = (message: string) => new EspalierError("INVALID_INPUT", message, { at: "city" });
  expect(statusMessage(error("a row is ragged"))).toBe("a row is ragged (at city) [INVALID_INPUT]");
  expect(statusMessage(error('column "city" is ragged'))).toBe('column "city" is ragged [INVALID_INPUT]');
});

test("what is not printable ASCII is escaped, and nothing else", () => {
  const escaped = escapeStatusMessage('100 % of "é"\n');
  expect(escaped).toBe('100 %25 of "%C3%A9"%0A');
  expect(decodeURIComponent(escaped)).toBe('100 % of "é"\n');
});
