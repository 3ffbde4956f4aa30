import { expect, test } from "vitest";
import { columnName, plainColumns, readColumns } from "./columns.ts";

test("columns are read once each; what there is not is left out", () => {
  expect(readColumns("state,params.depth,state,moon")).toEqual(["state", "params.depth"]);
  expect(readColumns("moon")).toEqual(Object.keys(plainColumns));
  expect(readColumns(undefined)).toEqual(Object.keys(plainColumns));
  expect(columnName("params.learning_rate")).toBe("learning_rate");
});
