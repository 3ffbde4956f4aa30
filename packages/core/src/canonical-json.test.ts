import fc from "fast-check";
import { describe, expect, it } from "vitest";
import golden from "../golden/canonical-json.json" with { type: "json" };
import { canonicalJson, digestOfJson } from "./canonical-json.ts";

describe("canonical JSON", () => {
  it.each(golden.vectors)("is that of the golden vector: $canonical", ({ value, canonical, sha256 }) => {
    expect(canonicalJson(value)).toBe(canonical);
    expect(digestOfJson(value)).toBe(`sha256:${sha256}`);
  });

  it("parses back to the same value, and is its own canonical form", () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const text = canonicalJson(value);
        expect(canonicalJson(JSON.parse(text))).toBe(text);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it("does not depend on the order in which members were added", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.integer()), (value) => {
        const reversed = Object.fromEntries(Object.entries(value).reverse());
        expect(canonicalJson(reversed)).toBe(canonicalJson(value));
      }),
    );
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, "\ud800", () => 1])("refuses %s", (value) => {
    expect(() => canonicalJson([value])).toThrowError(expect.objectContaining({ code: "INVALID_INPUT" }));
  });

  it("omits members that are undefined", () => {
    expect(canonicalJson({ a: undefined, b: 1 })).toBe('{"b":1}');
  });
});
