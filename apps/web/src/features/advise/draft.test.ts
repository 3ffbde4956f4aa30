import { expect, test } from "vitest";
import { blankPerson, firstDraft, readAdviseAddress, replaced, toggled, withLevel } from "./draft.ts";

test("a level of none takes the skill away, and who has none repairs nothing", () => {
  const able = { ...withLevel(blankPerson("Ada"), "sql", 2), repairs: ["sql"] };
  expect(able.skills).toEqual({ sql: 2 });
  expect(withLevel(able, "sql", 0)).toEqual(blankPerson("Ada"));
  expect(withLevel(able, "linux", 1)).toEqual({ name: "Ada", skills: { sql: 2, linux: 1 }, repairs: ["sql"] });
});

test("an address without a document of answers is none", () => {
  expect(readAdviseAddress({ answers: firstDraft })).toEqual({ answers: firstDraft });
  for (const answers of [undefined, "x", [], {}, { people: 3 }]) expect(readAdviseAddress({ answers })).toEqual({});
});

test("lists are changed in place of one item", () => {
  expect(toggled(["a"], "b")).toEqual(["a", "b"]);
  expect(toggled(["a", "b"], "a")).toEqual(["b"]);
  expect(replaced([1, 2, 3], 1, 9)).toEqual([1, 9, 3]);
  expect(replaced([1, 2, 3], 1, undefined)).toEqual([1, 3]);
});
