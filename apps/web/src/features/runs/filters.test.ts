import { runSchema } from "@espalier/contract";
import { expect, test } from "vitest";
import { readRunFilters, runStates } from "./filters.ts";

test("the states to choose from are the contract's", () => {
  expect(runStates).toEqual(runSchema.shape.state.options);
});

test("what an address says that is no filter is left out", () => {
  expect(readRunFilters({ pipeline: "train", state: "failed" })).toEqual({ pipeline: "train", state: "failed" });
  expect(readRunFilters({ pipeline: "", state: "broken", other: 1 })).toEqual({});
  expect(readRunFilters({ pipeline: 3 })).toEqual({});
});

test("a search, columns and a group are read; a group that there is not is left out", () => {
  const address = { search: "metrics.auc > 0.9", columns: "state,params.depth", group: "params.depth" };
  expect(readRunFilters(address)).toEqual(address);
  expect(readRunFilters({ search: "  ", group: "moon", columns: 3 })).toEqual({});
});
