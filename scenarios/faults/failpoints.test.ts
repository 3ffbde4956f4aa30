import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { failpoints, ulid } from "@espalier/core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { examine, type Findings } from "./examine.ts";
import { drive, stepProcesses } from "./kill.ts";
import { cutFlights, writeFaultProject } from "./pipeline.ts";

const rows = 30_000;
const root = mkdtempSync(join(tmpdir(), "espalier-faults-"));
const flights = join(root, "flights.parquet");
const firstRun = ulid();
let undisturbed: Findings;

beforeAll(async () => {
  const folder = join(root, "undisturbed");
  await cutFlights(flights, rows);
  writeFaultProject(folder, flights);
  expect(await drive({ folder, runId: firstRun, rows })).toBe("ended");
  undisturbed = await examine(folder, firstRun);
  expect(undisturbed).toMatchObject({ state: "succeeded", problems: [] });
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const once = failpoints.filter((name) => name !== "step-cached").map((name) => `${name}:1`);
/** Later passes, where a map and retries are under way. */
const later = ["attempt-submitted-unrecorded:5", "attempt-collected-unrecorded:4", "attempt-failed:2"];

test.each([...once, ...later])("killed at %s, the run goes on to the same result", async (name) => {
  const runId = ulid();
  const folder = join(root, name.replace(":", "-"));
  writeFaultProject(folder, flights);
  expect(await drive({ folder, runId, rows, failpoint: name })).toBe("killed");
  expect(await drive({ folder, runId, rows })).toBe("ended");
  const found = await examine(folder, runId);
  expect(found).toEqual(undisturbed);
  expect(stepProcesses(folder)).toEqual([]);
});

test("killed while steps come from the cache", async () => {
  const runId = ulid();
  const folder = join(root, "undisturbed");
  expect(await drive({ folder, runId, rows, failpoint: "step-cached:2" })).toBe("killed");
  expect(await drive({ folder, runId, rows })).toBe("ended");
  const found = await examine(folder, runId);
  expect(found.outputs).toEqual(undisturbed.outputs);
  expect(found).toMatchObject({ state: "succeeded", problems: [] });
});

/** What no kill may leave, made by hand: proof that the examination of the tests above would tell. */
const damages: Readonly<Record<string, { tells: string; sql?: string; file?: (path: string) => void }>> = {
  "a metric told twice": {
    tells: "told its metric once, and it is there 2 times",
    sql: `INSERT INTO metrics SELECT point.series_id, point.step + 1, point.timestamp, point.value, point.is_nan FROM metrics point
      JOIN latest_metrics series ON series.series_id = point.series_id WHERE series.key = 'loss'`,
  },
  "a dataset version too many": {
    tells: "the dataset has 2 versions",
    sql: `INSERT INTO dataset_versions SELECT project_id, name, version + 1, digest || 'x', artifact, reference, source, schema_json,
      profile_json, row_count, tags, run_id, attempt_id, created_by, created_at FROM dataset_versions`,
  },
  "an attempt without end": { tells: "hangs", sql: "UPDATE attempts SET state = 'submitted' WHERE step = 'total'" },
  "a step that succeeded twice": {
    tells: "total[-1] has 2 succeeded attempts",
    sql: "UPDATE attempts SET state = 'succeeded', step = 'total', number = 2 WHERE step = 'worst'",
  },
  "a run without end": { tells: "the run hangs: running", sql: "UPDATE pipeline_runs SET state = 'running'" },
  "a lost artifact": { tells: "rows.rows: ", file: (path) => rmSync(path) },
  "an artifact with another byte": {
    tells: "rows.rows: ",
    file: (path) => {
      chmodSync(path, 0o600);
      writeFileSync(path, Buffer.concat([Buffer.from("9"), readFileSync(path).subarray(1)]));
    },
  },
};

test.each(Object.entries(damages))("the examination tells of %s", async (name, { tells, sql, file }) => {
  const folder = join(root, name.replaceAll(" ", "-"));
  const state = join(folder, ".espalier");
  mkdirSync(state, { recursive: true });
  cpSync(join(root, "undisturbed/.espalier/store"), join(state, "store"), { recursive: true });
  cpSync(join(root, "undisturbed/.espalier/record.db"), join(state, "record.db"));
  if (sql !== undefined) {
    const database = new DatabaseSync(join(state, "record.db"));
    expect(Number(database.prepare(sql).run().changes)).toBeGreaterThan(0);
    database.close();
  }
  const digest = undisturbed.outputs["rows[-1].rows"] ?? "";
  file?.(join(state, "store/blobs", digest.slice(7, 9), digest.slice(9)));
  const found = await examine(folder, firstRun);
  expect(found.problems).toContainEqual(expect.stringContaining(tells));
});
