import { isEspalierError } from "@espalier/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { experimentGrammar } from "./experiment-grammar.ts";
import type { FilterGrammar } from "./grammar.ts";
import { longestFilter, mostComparisons, parseFilter } from "./parse-filter.ts";
import { parseOrder } from "./parse-order.ts";
import { runGrammar } from "./run-grammar.ts";
import { longestList } from "./value.ts";

/** What MLflow 3.17.2's own parser answers: accepted ones with what they mean (entity, key, operator, value), refused ones with its message. */
type Meaning = readonly [entity: string, key: string, operator: string, value: unknown];
const accepted: readonly (readonly [filter: string, ...meanings: Meaning[]])[] = [
  ["metrics.a > 1", ["metric", "a", ">", 1]],
  ["metric.a>1", ["metric", "a", ">", 1]],
  ["metrics.a > -1.5", ["metric", "a", ">", -1.5]],
  ["metrics.a > 1e3", ["metric", "a", ">", 1000]],
  ["metrics.a > 1.5E-3", ["metric", "a", ">", 0.0015]],
  ["metrics.a > .5", ["metric", "a", ">", 0.5]],
  ["metrics.a > 5.", ["metric", "a", ">", 5]],
  ["metrics.a > 1000000000000000000000000", ["metric", "a", ">", 10n ** 24n]],
  ['metrics."a b" >= 2', ["metric", "a b", ">=", 2]],
  ["metrics.`a/b` >= 2", ["metric", "a/b", ">=", 2]],
  ["`metrics`.`a` > 2", ["metric", "a", ">", 2]],
  ["metrics.'a' > 1", ["metric", "a", ">", 1]],
  ["metrics.a.b.c > 2", ["metric", "a.b.c", ">", 2]],
  ["metrics.`a`.b > 2", ["metric", "`a`.b", ">", 2]],
  ["metrics.1a > 2", ["metric", "1a", ">", 2]],
  ["metrics.é > 2", ["metric", "é", ">", 2]],
  ["metrics.`` > 1", ["metric", "", ">", 1]],
  ["params.a = 'x'", ["parameter", "a", "=", "x"]],
  ['param.a = "x"', ["parameter", "a", "=", "x"]],
  ["parameters.a != 'x'", ["parameter", "a", "!=", "x"]],
  ["parameter.a LIKE '%x'", ["parameter", "a", "LIKE", "%x"]],
  ["params.a ilike '%X'", ["parameter", "a", "ILIKE", "%X"]],
  ["params.a = 'it''s'", ["parameter", "a", "=", "it''s"]],
  ["params.a = 'it\\'s'", ["parameter", "a", "=", "it\\'s"]],
  ['params.a = "it\'s"', ["parameter", "a", "=", "it's"]],
  ["params.a = ''", ["parameter", "a", "=", ""]],
  ["params.a\t=\n'x'", ["parameter", "a", "=", "x"]],
  ["params.a = 'x' AND", ["parameter", "a", "=", "x"]],
  ["AND params.a = 'x'", ["parameter", "a", "=", "x"]],
  ["params.a = 'x' AND AND params.b = 'y'", ["parameter", "a", "=", "x"], ["parameter", "b", "=", "y"]],
  ["params.a = 'x' params.b = 'y'", ["parameter", "a", "=", "x"], ["parameter", "b", "=", "y"]],
  ["params.a='x'AND params.b='y'", ["parameter", "a", "=", "x"], ["parameter", "b", "=", "y"]],
  ["tags.a = 'x' and  tags.a != 'y'", ["tag", "a", "=", "x"], ["tag", "a", "!=", "y"]],
  ["params.a IS NULL", ["parameter", "a", "IS NULL", null]],
  ["params.a is not null", ["parameter", "a", "IS NOT NULL", null]],
  ["tags.a IS NULL AND params.b = 'x'", ["tag", "a", "IS NULL", null], ["parameter", "b", "=", "x"]],
  ["tags.mlflow.parentRunId = 'x'", ["tag", "mlflow.parentRunId", "=", "x"]],
  ["tags.`mlflow.user` = 'x'", ["tag", "mlflow.user", "=", "x"]],
  ['tags."mlflow.user" = "x"', ["tag", "mlflow.user", "=", "x"]],
  ["tags.select = 'x'", ["tag", "select", "=", "x"]],
  ["tags.order = 'x'", ["tag", "order", "=", "x"]],
  ["tags._a = 'x'", ["tag", "_a", "=", "x"]],
  ["tags.`a``b` = 'x'", ["tag", "a``b", "=", "x"]],
  ["tags.a like'x'", ["tag", "a", "LIKE", "x"]],
  ["tags.a = 'a;b--c'", ["tag", "a", "=", "a;b--c"]],
  ["attributes.status = 'RUNNING'", ["attribute", "status", "=", "RUNNING"]],
  ["attr.status = 'RUNNING'", ["attribute", "status", "=", "RUNNING"]],
  ["run.status = 'RUNNING'", ["attribute", "status", "=", "RUNNING"]],
  ["status != 'RUNNING'", ["attribute", "status", "!=", "RUNNING"]],
  ["run_id IN ('a', \"b\")", ["attribute", "run_id", "IN", ["a", "b"]]],
  ["run_id in ('a',)", ["attribute", "run_id", "IN", ["a"]]],
  ["attributes.run_id NOT  IN ('a')", ["attribute", "run_id", "NOT IN", ["a"]]],
  ["run_name = 'x'", ["attribute", "run_name", "=", "x"]],
  ["`run name` = 'x'", ["attribute", "run_name", "=", "x"]],
  ["attributes.\"Run Name\" = 'x'", ["attribute", "run_name", "=", "x"]],
  ["artifact_uri LIKE 'x%'", ["attribute", "artifact_uri", "LIKE", "x%"]],
  ["start_time > 1.5", ["attribute", "start_time", ">", 1.5]],
  ["end_time <= 5", ["attribute", "end_time", "<=", 5]],
  ["attributes.Created > 1", ["attribute", "start_time", ">", 1]],
  ["datasets.digest IN ('a','b')", ["dataset", "digest", "IN", ["a", "b"]]],
  ["dataset.context NOT IN ('a')", ["dataset", "context", "NOT IN", ["a"]]],
  ["AND"],
  [" "],
  [""],
];

const refused: readonly (readonly [string, RegExp])[] = [
  ["metrics.a > +1", /Expected numeric value type for metric/],
  ["metrics.a > 'x'", /Expected numeric value type for metric. Found 'x'/],
  ["metrics.a > nan", /Expected numeric value type for metric/],
  ["metrics.a == 1", /Invalid comparator '=='/],
  ["metrics.a <> 1", /Invalid comparator '<>'/],
  ["metrics.a LIKE 1", /Invalid comparator 'LIKE'/],
  ["metrics.a IN (1)", /./],
  ["metrics.a/b >= 2", /Invalid/],
  ["metrics.a-b > 2", /Invalid/],
  ["metrics.a b > 2", /Invalid clause\(s\) in filter string: 'metrics.a'/],
  ['"metrics"."a" > 2', /Invalid entity type '"metrics"'/],
  ["`metrics.a` > 2", /Invalid/],
  ["metrics .a > 2", /Invalid/],
  ["metrics.1 > 2", /Invalid/],
  ["METRICS.a > 2", /Invalid entity type 'METRICS'/],
  ["metrics.a > 1AND metrics.b < 2", /Expected numeric value type for metric/],
  ["metrics.a > 1 2", /Invalid clause\(s\) in filter string: '2'/],
  ["metrics.a > 1.2.3", /Invalid clause\(s\) in filter string: '.3'/],
  ["metrics.a > 0x10", /./],
  ["metrics.a > 1_000", /Expected numeric value type for metric/],
  ["metrics.a > TRUE", /./],
  ["metrics.a IS NULL", /only supported for params and tags, not for 'metric' 'a'/],
  ["status IS NULL", /not for 'attribute' 'status'/],
  ["params.a = x", /Parameter value is either not quoted or unidentified quote types used for string value x/],
  ["params.a = `x`", /Parameter value is either not quoted/],
  ["params.a = 1", /Expected a quoted string value for parameter \(e.g. 'my-value'\). Got value 1/],
  ["params.a > '1'", /Invalid comparator '>'/],
  ["params.a IN ('x')", /./],
  ["params.a NOT LIKE 'x'", /Invalid comparator 'NOT LIKE'/],
  ["params.a RLIKE 'x'", /Invalid comparator 'RLIKE'/],
  ["params.a = 'x', params.b = 'y'", /Invalid clause\(s\)/],
  ["params.a = 'x' OR params.b = 'y'", /Invalid clause\(s\) in filter string: 'OR'/],
  ["NOT params.a = 'x'", /Invalid clause\(s\) in filter string: 'NOT'/],
  ["(params.a = 'x')", /Invalid clause\(s\)/],
  ["tags.a = 'x' AND (tags.b = 'y')", /Invalid clause\(s\)/],
  ["params.a = 'x';", /Invalid clause\(s\) in filter string: ';'/],
  ["params.a = 'x' -- comment", /Invalid clause\(s\)/],
  ["params.a = 'x' /* c */", /Invalid clause\(s\)/],
  ["params.a = '", /./],
  ["params.a =", /Invalid/],
  ["params.a", /Invalid clause\(s\) in filter string: 'params.a'/],
  ["= 'x'", /Invalid clause\(s\)/],
  ["'x' = params.a", /Expected 'Identifier' found ''x''/],
  ["1 < metrics.a", /Expected 'Identifier' found '1'/],
  ["params.a BETWEEN 'a' AND 'b'", /Invalid clause\(s\)/],
  ["params.a = 'x' ORDER BY b", /Invalid clause\(s\)/],
  ["params.a = 'x' = 'y'", /Invalid/],
  ["params.a LIKE 'a' 'b'", /Invalid/],
  ["status > 'RUNNING'", /Invalid comparator '>'/],
  ["status IN ('RUNNING')", /Only \['run_id'\] attributes support comparison with a list of quoted string values/],
  ["run_id IN ()", /expected a non-empty list of string values, but got empty list/],
  ["run_id IN (1)", /expected string value, punctuation, or whitespace, but got different type in list/],
  ["run_id IN ('a', 1)", /expected string value, punctuation, or whitespace/],
  ["run_id IN (a)", /./],
  ["run_id IN 'a'", /Invalid clause\(s\)/],
  ["run_id RLIKE 'a'", /Invalid comparator 'RLIKE'/],
  ["lifecycle_stage = 'active'", /Invalid attribute key 'lifecycle_stage' specified. Valid keys are/],
  ["foo = 'x'", /Invalid attribute key 'foo' specified/],
  [
    "foo.bar = 'x'",
    /Invalid entity type 'foo'. Valid values are \['metric', 'parameter', 'tag', 'attribute', 'dataset'\]/,
  ],
  ["dataset.foo = 'x'", /Invalid dataset key 'foo' specified/],
  ["dataset.name > 'x'", /Invalid comparator '>'/],
  ["dataset.name = 1", /Expected a quoted string value for dataset attributes/],
  ["start_time = '1'", /Expected numeric value type for numeric attribute: start_time. Found '1'/],
  ["tags.a:b = 'x'", /Invalid/],
  ["tags.$a = 'x'", /Invalid/],
  ["tags.order by = 'x'", /Invalid/],
  [".a = 'x'", /Invalid/],
  // MLflow joins the two texts, and compares a list with `=`: neither can be meant.
  ["run_id IN ('a' 'b')", /ill-formed list/],
  ["run_id = ('a')", /Expected a quoted string value/],
];

describe("filters of runs mean what they mean to MLflow's own server", () => {
  test.each(accepted.map(([filter, ...expected]) => ({ filter, expected })))("$filter", ({ filter, expected }) => {
    const found = parseFilter(filter, runGrammar);
    expect(found.map(({ entity, key, operator, value }) => [entity, key, operator, value])).toEqual(expected);
  });
  test.each(refused)("%s is refused", (filter, message) => {
    expect(() => parseFilter(filter, runGrammar)).toThrow(message);
  });
});

describe("filters of experiments", () => {
  test.each([
    ["name = 'a' AND tags.`b c` LIKE 'd%'", 2],
    ["attribute.creation_time >= 5", 1],
    ["experiment_id IN ('1','2')", 1],
    ["tags.a IS NOT NULL", 1],
  ])("%s", (filter, count) => expect(parseFilter(filter, experimentGrammar)).toHaveLength(count));
  test.each([
    "creation_time > 1.5",
    "creation_time = '5'",
    "name IN ('a')",
    "name > 'a'",
    "params.a = 'b'",
    "experiment_id LIKE '1%'",
    "name IS NULL",
  ])("%s is refused", (filter) => expect(() => parseFilter(filter, experimentGrammar)).toThrow());
});

test.each([
  ["metrics.a", "metric", "a", true],
  ["metrics.a DESC", "metric", "a", false],
  ["metrics.`a b` desc", "metric", "a b", false],
  ['metrics."a b" asc', "metric", "a b", true],
  ["params.x.y", "parameter", "x.y", true],
  ["start_time", "attribute", "start_time", true],
  ["Created DESC", "attribute", "start_time", false],
  ["attributes.run_id DESC", "attribute", "run_id", false],
])("orders by %s", (text, entity, key, ascending) => {
  expect(parseOrder([text], runGrammar)).toEqual([{ entity, key, ascending }]);
});

test.each([
  [["metrics.a DESC ASC"], /Could not be parsed/],
  [["metrics.a FOO"], /Invalid ordering key in order_by clause 'metrics.a FOO'/],
  [["metrics.a/b"], /Could not be parsed/],
  [["metrics.a, metrics.b"], /Could not be parsed/],
  [["metrics.a DESC NULLS LAST"], /Could not be parsed/],
  [[""], /Could not be parsed/],
  [["lifecycle_stage"], /Invalid attribute key 'lifecycle_stage' specified/],
  [["dataset.name"], /Invalid/],
  [["constructor"], /Invalid attribute key/],
  [["metrics.a", "metrics.`a` DESC"], /`order_by` contains duplicate fields/],
  [["created", "start_time DESC"], /`order_by` contains duplicate fields/],
])("refuses to order by %s", (texts, message) => {
  expect(() => parseOrder(texts, runGrammar)).toThrow(message);
});

test("a key may stand for one of another entity, and `either` reads numbers where they are ordered", () => {
  const grammar: FilterGrammar = {
    defaultEntity: "attribute",
    entities: [
      {
        name: "attribute",
        keys: { name: { kind: "text", operators: ["="], means: { entity: "tag", key: "mlflow.traceName" } } },
      },
      { name: "feedback", otherKeys: () => ({ kind: "either", operators: ["=", ">"] }) },
    ],
  };
  expect(parseFilter("name = 'a' AND feedback.b > 0.5 AND feedback.b = 'yes'", grammar)).toEqual([
    { entity: "tag", key: "mlflow.traceName", operator: "=", value: "a" },
    { entity: "feedback", key: "b", operator: ">", value: 0.5 },
    { entity: "feedback", key: "b", operator: "=", value: "yes" },
  ]);
  expect(() => parseFilter("feedback.b > 'yes'", grammar)).toThrow(/quoted string value or numeric value/);
  expect(() => parseFilter("feedback.b = 5", grammar)).toThrow(/Expected a quoted/);
});

test("a filter that is too long, or compares too much, is refused", () => {
  const many = (count: number) => Array.from({ length: count }, () => "tags.a = 'b'").join(" AND ");
  expect(parseFilter(many(mostComparisons), runGrammar)).toHaveLength(mostComparisons);
  expect(() => parseFilter(many(mostComparisons + 1), runGrammar)).toThrow(/may have 100 comparisons/);
  expect(() => parseFilter(`tags.a = '${"x".repeat(longestFilter)}'`, runGrammar)).toThrow(/characters/);
  const list = (length: number) => `run_id IN (${Array.from({ length }, () => "'a'").join(",")})`;
  expect(() => parseFilter(list(longestList + 1), runGrammar)).toThrow(/A list in a filter/);
  expect(() => parseFilter(`${list(longestList)} AND ${list(1)}`, runGrammar)).toThrow(/The lists of a filter/);
  expect(() => parseFilter("(".repeat(100_000), runGrammar)).toThrow(/Invalid clause/);
});

const piece = fc.oneof(
  fc.constantFrom(
    ..."metrics params tags attributes dataset run_id status start_time AND OR NOT IN IS NULL LIKE".split(" "),
    ...". . = != > <= ( ) , ; 'a' \"b\" `c` ' \" ` 1 -2.5 1e400 \\ # -- é 😀 \u0000 \ud800".split(" "),
    "  ",
  ),
  fc.string({ maxLength: 5 }),
);

test("whatever it is given, the parser answers or refuses with 400", () => {
  const codeOf = (work: () => unknown): unknown => {
    try {
      work();
      return "INVALID_PARAMETER_VALUE";
    } catch (error) {
      return isEspalierError(error) ? error.details["mlflow"] : error;
    }
  };
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), fc.boolean(), (pieces, spaced) => {
      const filter = pieces.join(spaced ? " " : "");
      for (const grammar of [runGrammar, experimentGrammar]) {
        expect(codeOf(() => parseFilter(filter, grammar))).toBe("INVALID_PARAMETER_VALUE");
        expect(codeOf(() => parseOrder([filter], grammar))).toBe("INVALID_PARAMETER_VALUE");
      }
    }),
    { numRuns: 5000 },
  );
});

test("quoted keys and values come through whatever they hold", () => {
  const text = fc.string({ unit: "grapheme", maxLength: 20 });
  fc.assert(
    fc.property(text, text, (key, value) => {
      fc.pre(!key.includes("`") && !value.includes('"') && !value.endsWith("\\"));
      expect(parseFilter(`tags.\`${key}\` = "${value}"`, runGrammar)).toMatchObject([{ key, value }]);
    }),
  );
});
