import { expect, test } from "vitest";
import { type Entry, matches } from "./match.ts";

const entries: Entry[] = [
  { id: "1", label: "Runs", kind: "page" },
  { id: "2", label: "Compare", kind: "page", words: "runs side by side" },
  { id: "3", label: "flights-delay", kind: "pipeline" },
];
const found = (typed: string) => matches(entries, typed, 10).map(({ label }) => label);

test("the beginning of the name wins, then that of a word, then letters in order", () => {
  expect(found("run")).toEqual(["Runs", "Compare"]);
  expect(found("delay")).toEqual(["flights-delay"]);
  expect(found("fdl")).toEqual(["flights-delay"]);
});

test("every word must occur, and nothing typed shows all", () => {
  expect(found("side compare")).toEqual(["Compare"]);
  expect(found("compare moon")).toEqual([]);
  expect(found("")).toHaveLength(3);
  expect(matches(entries, "", 2)).toHaveLength(2);
});
