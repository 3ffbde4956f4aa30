import { dataValidatorConformance } from "@espalier/conformance";
import { manifestSchema } from "@espalier/core";
import { describe, expect, it } from "vitest";
import { createDuckdbDataValidator, duckdbDataValidatorManifest } from "./duckdb-data-validator.ts";
import { duckdbVersion } from "./duckdb-version.ts";
import { query } from "./testing/run-step.ts";

dataValidatorConformance(
  { describe, it, expect },
  {
    open: async () => createDuckdbDataValidator({ threads: 2 }),
    readTable: (path) => query(`SELECT * FROM read_parquet('${path}')`),
  },
);

it("states the version of DuckDB that is installed", async () => {
  expect(manifestSchema.parse(duckdbDataValidatorManifest).verified.against).toBe(`DuckDB ${duckdbVersion}`);
  expect(await query("SELECT version() AS version")).toEqual([{ version: `v${duckdbVersion}` }]);
});
