import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@espalier/contract";
import { ulid } from "@espalier/core";
import { createPythonEnvironments, optunaPython } from "@espalier/host";
import { startControlPlane } from "@espalier/server";
import { afterAll, beforeAll, expect, test } from "vitest";
import { drive, stepProcesses } from "./kill.ts";
import { writeProject } from "./plane.ts";

const trials = 14;
/** More trials than Optuna draws at random (10), so that the last ones follow from what those before them came to. */
const pipeline = `name: faults
params: { rows: "0" }
steps:
  search:
    run: |
      echo '{"type":"metric","key":"loss","value":'\${{ trial.rate }}'}' >> $ESPALIER_EVENTS
      echo \${{ trial.rate }} \${{ trial.depth }} > \${{ outputs.model }}
    outputs: { model: file }
    tune:
      search: { rate: { log_uniform: [0.001, 1] }, depth: { integer: [1, 9] } }
      method: tpe
      trials: ${trials}
      concurrency: 2
      objective: { metric: loss, direction: minimize }
`;

const root = mkdtempSync(join(tmpdir(), "espalier-search-"));
let unavailable: string | undefined;
beforeAll(async () => {
  if (process.env["ESPALIER_TEST_SEARCH"] === undefined) {
    unavailable = "installs Optuna and is killed many times: `npm run test:servers -- search` runs it";
    return;
  }
  await optunaPython(createPythonEnvironments(), join(root, "optuna")).catch((error: Error) => {
    unavailable = error.message;
  });
}, 300_000);
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Values and metrics of the trials, and how many attempts each had. */
async function found(projectDirectory: string, runId: string) {
  const plane = await startControlPlane({ projectDirectory, databaseUrl: "" });
  try {
    const client = createClient({ url: plane.url, token: plane.token });
    const table = await client.call("runs.trials", { params: { runId, step: "search" } });
    const { run, attempts } = await client.call("runs.get", { params: { runId } });
    return {
      state: run.state,
      best: table.best,
      trials: table.trials.map(({ values, metric, state }) => ({ values, metric, state })),
      attempts: attempts.map(({ branch }) => branch).sort((a, b) => a - b),
    };
  } finally {
    await plane.close();
  }
}

test("a search that is killed again and again comes to the same trials, each begun once", async (context) => {
  if (unavailable !== undefined) return context.skip(unavailable);
  const undisturbed = join(root, "undisturbed");
  const killed = join(root, "killed");
  for (const folder of [undisturbed, killed]) {
    writeProject(folder, { "espalier.yaml": "project: faults\n", "pipelines/faults.yaml": pipeline });
  }
  const [firstId, secondId] = [ulid(), ulid()];
  expect(await drive({ folder: undisturbed, runId: firstId, rows: 0 })).toBe("ended");
  for (const failpoint of ["attempt-submitted:3", "attempt-collected-unrecorded:4", "attempt-created:4"]) {
    expect(await drive({ folder: killed, runId: secondId, rows: 0, failpoint })).toBe("killed");
  }
  expect(await drive({ folder: killed, runId: secondId, rows: 0 })).toBe("ended");
  const expected = await found(undisturbed, firstId);
  expect(expected).toMatchObject({ state: "succeeded", attempts: [...Array(trials).keys()] });
  expect(await found(killed, secondId)).toEqual(expected);
  expect(stepProcesses(killed)).toEqual([]);
}, 300_000);
