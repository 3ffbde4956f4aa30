import { expect, test } from "vitest";
import { parseLongJson, rawInteger } from "./long-json.ts";

const long = 9_223_372_036_854_775_807n;

test.each([
  ["9223372036854775807", long],
  ["-9223372036854775807", -long],
  ['{"step":9223372036854775807,"value":0.12345678901234566}', { step: long, value: 0.12345678901234566 }],
  ['{"a":[ 9223372036854775807 ,1]}', { a: [long, 1] }],
  ['{"text":"9223372036854775807","near":9007199254740991}', { text: "9223372036854775807", near: 2 ** 53 - 1 }],
  ["1000000000000000000e2", 1e20],
])("%s is read without loss", (text, value) => {
  expect(parseLongJson(text)).toEqual(value);
});

test("what is written is read again", () => {
  const text = JSON.stringify({ step: rawInteger(long) });
  expect(text).toBe('{"step":9223372036854775807}');
  expect(parseLongJson(text)).toEqual({ step: long });
});

test.each(["", "{", "NaN", '{"a":9223372036854775807'])("%j is no JSON", (text) => {
  expect(() => parseLongJson(text)).toThrow(SyntaxError);
});
