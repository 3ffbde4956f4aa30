import fc from "fast-check";
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
  ["-9223372036854775808", -long - 1n],
  ["18446744073709551615", 2n ** 64n - 1n],
  ["[1000000000000000000000]", [1e21]],
  ['{"a\\", 9223372036854775807":[9223372036854775807,"\\\\"]}', { 'a", 9223372036854775807': [long, "\\"] }],
  ['["[9223372036854775807]",9223372036854775807,"\\""]', ["[9223372036854775807]", long, '"']],
  ['{"__proto__":9223372036854775807}', JSON.parse('{"__proto__":0}', (_key, value) => (value === 0 ? long : value))],
])("%s is read without loss", (text, value) => {
  expect(parseLongJson(text)).toEqual(value);
});

test("what is written is read again", () => {
  const text = JSON.stringify({ step: rawInteger(long) });
  expect(text).toBe('{"step":9223372036854775807}');
  expect(parseLongJson(text)).toEqual({ step: long });
});

test.each([
  "",
  "{",
  "NaN",
  '{"a":9223372036854775807',
  '{"a":1,9223372036854775807:2}',
  "[09223372036854775807]",
  "[9223372036854775807,]",
  '[9223372036854775807"]',
  "9223372036854775807 9223372036854775807",
])("%j is no JSON", (text) => {
  expect(() => parseLongJson(text)).toThrow(SyntaxError);
});

test("any JSON is read as it was written", () => {
  const integer = fc.oneof(fc.bigInt({ min: -(2n ** 66n), max: 2n ** 66n }), fc.maxSafeInteger().map(BigInt));
  const text = fc.oneof(fc.string(), fc.constantFrom('"', "\\", ": 9223372036854775807", "[9223372036854775807]"));
  // JSON.parse of Node 24.21 takes the key `"` for the key `\` when an object like it had that one before.
  const key = text.filter((letters) => !letters.includes("\\"));
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      integer,
      text,
      // As text, an integer below 10^21 has no exponent and may have 20 digits.
      fc.double({ noNaN: true, noDefaultInfinity: true, noInteger: true }),
      fc.array(tie("tree")),
      fc.dictionary(key, tie("tree"), { noNullPrototype: true }),
    ),
  }));
  const number = (value: bigint) => (Number.isSafeInteger(Number(value)) ? Number(value) : value);
  const read = (value: unknown): unknown => {
    if (typeof value === "bigint") return number(value);
    if (Array.isArray(value)) return value.map(read);
    if (typeof value !== "object" || value === null) return Object.is(value, -0) ? 0 : value;
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, read(member)]));
  };
  fc.assert(
    fc.property(tree, fc.constantFrom(0, 2), (value, spaces) => {
      const json = JSON.stringify(value, (_key, one) => (typeof one === "bigint" ? rawInteger(one) : one), spaces);
      expect(parseLongJson(json)).toEqual(read(value));
    }),
    { numRuns: 2000 },
  );
});

test("what is nested a million times is read", () => {
  const depth = 1_000_000;
  let inner = parseLongJson(`${"[".repeat(depth)}9223372036854775807${"]".repeat(depth)}`);
  while (Array.isArray(inner)) inner = inner[0];
  expect(inner).toBe(long);
});
