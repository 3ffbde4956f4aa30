import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { failpoints, ulid } from "@espalier/core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { examine, type Findings } from "./examine.ts";
import { drive, stepProcesses } from "./kill.ts";
import { faultFiles } from "./pipeline.ts";
import { writeProject } from "./plane.ts";

const rows = 30_000;
const root = mkdtempSync(join(tmpdir(), "espalier-faults-"));
const firstRun = ulid();
let undisturbed: Findings;

beforeAll(async () => {
  const folder = join(root, "undisturbed");
  writeProject(folder, faultFiles);
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
  writeProject(folder, faultFiles);
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
