import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dataValidatorConformance } from "@espalier/conformance";
import { manifestSchema } from "@espalier/core";
import { profileTable } from "@espalier/quality";
import { describe, expect, it } from "vitest";
import { openDuckDb } from "./duckdb-client.ts";
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

/** Written by pyarrow: columns a (double) and f (float), each 1, 2, NaN; the statistics say the largest value is 2. */
const fileWithNan = Buffer.from(
  "UEFSMRUEFTAVLEwVBhUAEgAAGAAABQEE8D8FBygAAEAAAAAAAAD4fxUAFRQVGCwVBhUQFQYVBhwYCAAAAAAAAABAGAgAAAAAAADwPxYAKAgAAAAAAAAAQBgIAAAAAAAA8D8REQAAAAokAgAAAAYBAgMkABUEFRgVHEwVBhUAEgAADCwAAIA/AAAAQAAAwH8VABUUFRgsFQYVEBUGFQYcGAQAAABAGAQAAIA/FgAoBAAAAEAYBAAAgD8REQAAAAokAgAAAAYBAgMkABUEGTw1ABgGc2NoZW1hFQQAFQolAhgBYQAVCCUCGAFmABYGGRwZLCYAHBUKGTUABhAZGAFhFQIWBhbeARbeASZQJggcGAgAAAAAAAAAQBgIAAAAAAAA8D8WACgIAAAAAAAAAEAYCAAAAAAAAPA/EREAGSwVBBUAFQIAFQAVEBUCADwpBhkmAAYAAAAmABwVCBk1AAYQGRgBZhUCFgYWpgEWrgEmngIm5gEcGAQAAABAGAQAAIA/FgAoBAAAAEAYBAAAgD8REQAZLBUEFQAVAgAVABUQFQIAPCkGGSYABgAAABaEAxYGJggWjAMAGRwYDEFSUk9XOnNjaGVtYRjgAS8vLy8vNkFBQUFBUUFBQUFBQUFLQUF3QUJnQUZBQWdBQ2dBQUFBQUJCQUFNQUFBQUNBQUlBQUFBQkFBSUFBQUFCQUFBQUFJQUFBQkFBQUFBQkFBQUFOai8vLzhBQUFFREVBQUFBQlFBQUFBRUFBQUFBQUFBQUFFQUFBQm1BQUFBeXYvLy93QUFBUUFRQUJRQUNBQUdBQWNBREFBQUFCQUFFQUFBQUFBQUFRTVFBQUFBR0FBQUFBUUFBQUFBQUFBQUFRQUFBR0VBQmdBSUFBWUFCZ0FBQUFBQUFnQUFBQUFBABggcGFycXVldC1jcHAtYXJyb3cgdmVyc2lvbiAyNi4wLjEZLBwAABwAAAALAgAAUEFSMQ==",
  "base64",
);

it("sees NaN that the file's statistics hide", async () => {
  const folder = await mkdtemp(join(tmpdir(), "espalier-nan-"));
  try {
    const dataPath = join(folder, "data");
    await writeFile(dataPath, fileWithNan);
    const rules = ["a", "f"].flatMap((column) => [
      { rule: "range", column, min: 0, max: 1000 },
      { rule: "range", column, min: 0 },
      { rule: "not_null", column },
    ]);
    const report = await createDuckdbDataValidator().validate({ dataPath, rules });
    expect(report.results.map((result) => result.failed)).toEqual([1, 1, 1, 1, 1, 1]);
    expect(report.results[0]?.samples).toEqual([{ row: 3, values: { a: "NaN", f: "NaN" } }]);
    const database = await openDuckDb({ threads: 1 });
    await database.run(`CREATE VIEW data AS SELECT * FROM read_parquet('${dataPath}')`);
    const profile = await profileTable((sql) => database.rows(sql), "data", [{ name: "a", type: "DOUBLE" }]);
    await database.close();
    expect(profile.columns[0]).toMatchObject({ notFinite: 1, moments: { count: 2, mean: 1.5, min: 1, max: 2 } });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
