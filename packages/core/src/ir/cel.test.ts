import { expect, test } from "vitest";
import { celReads, evaluateCel, evaluateItems, evaluateWhen } from "./cel.ts";

const variables = {
  params: { n: 3, rate: 0.5, mode: "full", on: true },
  split: { parts: ["a", "b", "c", "d"], sizes: [{ rows: 1 }, { rows: 20 }] },
};

test.each([
  ["params.n + 1", 4],
  ["params.n * 0.5", 1.5],
  ["params.rate * params.n", 1.5],
  ["params.n == 3 && params.on", true],
  ["split.parts.size() > 3", true],
  ["split.sizes.filter(s, s.rows > 10)", [{ rows: 20 }]],
  ['[1, 2.5, "x"]', [1, 2.5, "x"]],
  ['{"a": params.n}', { a: 3 }],
])("%s", (expression, result) => {
  expect(evaluateCel(expression, variables)).toEqual(result);
});

test("reads are told apart from what a macro binds", () => {
  expect(celReads('split.sizes.exists(s, s.rows > params.n) || gate.verdict == "pass" || report["x"] == 1')).toEqual({
    params: ["n"],
    steps: [
      { step: "split", output: "sizes" },
      { step: "gate", output: "verdict" },
      { step: "report", output: "x" },
    ],
  });
});

test("what is not CEL, has the wrong kind or is not there is an error that names the expression", () => {
  expect(() => celReads("list.parts")).toThrow(expect.objectContaining({ code: "INVALID_PIPELINE" }));
  expect(celReads("split.parts.map(list, list.rows)").steps).toEqual([{ step: "split", output: "parts" }]);
  expect(() => celReads("a &&")).toThrow(expect.objectContaining({ code: "INVALID_PIPELINE" }));
  expect(() => evaluateWhen("params.n", variables)).toThrow(expect.objectContaining({ code: "INVALID_INPUT" }));
  expect(() => evaluateItems("params.n", variables)).toThrow(expect.objectContaining({ code: "INVALID_INPUT" }));
  expect(() => evaluateCel("split.gone", variables)).toThrow(/split\.gone/);
});
