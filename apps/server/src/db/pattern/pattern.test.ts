import fc from "fast-check";
import { sql } from "kysely";
import { describe, expect, test } from "vitest";
import { startPostgres } from "../../../../../scripts/servers/postgres.ts";
import { describeOnBoth } from "../testing/databases.ts";
import { compilePattern } from "./match-pattern.ts";
import { matches } from "./matches.ts";
import { parsePattern } from "./parse-pattern.ts";

const holds = (pattern: string, text: string): boolean => compilePattern(parsePattern(pattern))(text);

const cases: readonly (readonly [pattern: string, text: string, expected: boolean])[] = [
  ["", "", true],
  ["", "a", true],
  ["a", "cat", true],
  ["^a", "cat", false],
  ["^c.t$", "cat", true],
  ["c.t", "c\nt", false],
  ["colou?r", "color", true],
  ["^(?:ab|cd)+$", "abcdab", true],
  ["^(ab|cd)+$", "abc", false],
  ["^a{2,3}$", "aa", true],
  ["^a{2,3}$", "aaaa", false],
  ["^a{2}$", "aaa", false],
  ["^a{2,}$", "aaaaa", true],
  ["[a-c]x", "bx", true],
  ["[^a-c]x", "bx", false],
  ["^[]a]$", "]", true],
  ["^[a\\]\\-]+$", "]-a", true],
  ["^[a-]$", "-", true],
  ["\\d{3}", "ab123", true],
  ["^\\w+$", "a_1", true],
  ["^\\w+$", "a b", false],
  ["^\\S+$", "ab", true],
  ["a\\.b", "axb", false],
  ["a|", "zzz", true],
  ["^(a|)$", "", true],
  ["ü", "grün", true],
  ["^.$", "😀", true],
  ["^[😀-😂]$", "😁", true],
  ["a.*?c", "abbbc", true],
  ["'", "it's", true],
  ["\\t", "a\tb", true],
  ["$^", "", true],
  ["x$", "x\n", false],
];

describe("our matcher", () => {
  test.each(cases)("%j in %j: %s", (pattern, text, expected) => {
    expect(holds(pattern, text)).toBe(expected);
  });

  test.each([
    "[",
    "(",
    ")",
    "a)",
    "*a",
    "a**",
    "a{3,2}",
    "a{999}",
    "a{",
    "(?=a)",
    "(?i)a",
    "\\1",
    "\\b",
    "[z-a]",
    "[[:alpha:]]",
    "\\",
    "^*",
    "((((((((((((((((((((((a))))))))))))))))))))))",
    "(a{255}){255}",
  ])("%j is refused", (pattern) => {
    expect(() => holds(pattern, "a")).toThrow(/^The regular expression can not be used: /);
  });

  test("means what JavaScript's own engine means", () => {
    const atom = fc.constantFrom("a", "b", ".", "[ab]", "[^a]", "\\w", "(a|b)", "(?:ab)", "^", "$");
    const repeat = fc.constantFrom("", "*", "+", "?", "{1,2}");
    const piece = fc.tuple(atom, repeat).map(([one, many]) => (one === "^" || one === "$" ? one : one + many));
    const pattern = fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(""));
    const text = fc.array(fc.constantFrom("a", "b", "c", "\n"), { maxLength: 8 }).map((letters) => letters.join(""));
    fc.assert(
      fc.property(pattern, text, (one, other) => {
        expect(holds(one, other)).toBe(new RegExp(one, "u").test(other));
      }),
      { numRuns: 2000 },
    );
  });

  test("whatever is written, it is read or refused", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (pattern, text) => {
        try {
          holds(pattern, text);
        } catch (error) {
          expect((error as Error).name).toBe("PatternError");
        }
      }),
    );
  });

  test("what makes other engines try all ways ends at once", () => {
    expect(holds("^(a+)+$", `${"a".repeat(20_000)}b`)).toBe(false);
    expect(holds("a*a*a*a*a*a*b", "a".repeat(20_000))).toBe(false);
  });
});

describeOnBoth("patterns", await startPostgres(), (testDatabase) => {
  test("mean the same in the database", async () => {
    const database = await testDatabase.openDatabase();
    for (const [pattern, text, expected] of cases) {
      const condition = matches(database, sql<string>`CAST(${text} AS text)`, pattern);
      const { rows } = await sql<{ found: number }>`SELECT CASE WHEN ${condition} THEN 1 ELSE 0 END AS found`.execute(
        database.reader,
      );
      expect([pattern, text, rows[0]?.found === 1]).toEqual([pattern, text, expected]);
    }
    expect(() => matches(database, sql<string>`x`, "[")).toThrow(/a class is not closed/);
  });
});
