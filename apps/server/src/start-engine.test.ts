import { existsSync } from "node:fs";
import { mkdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { makeProject, runToEnd, startForTest } from "./testing/control-plane.ts";

const tool = `
import { z } from "${import.meta.resolve("zod")}";
const nobody = () => { throw new Error("the far machine was asked"); };
export const tools = [{
  manifest: {
    tool: "far", provider: "custom", component: "compute", milestone: 5, summary: "elsewhere", capabilities: [], skills: [],
    cost: { money: "none", operations: "none" }, verified: { label: "real", against: "this test", live: "not applicable" },
  },
  config: z.strictObject({}),
  create: () => ({ sharesFiles: false, submit: nobody, status: nobody, logs: nobody, cancel: nobody }),
}];
`;

test("built-in steps run here though the stack computes elsewhere; a `run:` step goes there", async () => {
  const project = await makeProject({
    "espalier.yaml": `project: flights
default_stack: cloud
stacks: { cloud: { compute: { default: { uses: "npm:far-compute" } } } }
`,
    "package.json": "{}",
    "node_modules/far-compute/package.json": '{"name":"far-compute","type":"module","main":"index.js"}',
    "node_modules/far-compute/index.js": tool,
    "data/rows.csv": "a\n1\n2\n",
    "sql/double.sql": "CREATE TABLE doubled AS SELECT a * 2 AS a FROM rows ORDER BY a;",
    "pipelines/mixed.yaml": `
name: mixed
steps:
  ingest: { uses: dataset, inputs: { file: ./data/rows.csv }, with: { name: rows } }
  double:
    uses: sql
    inputs: { rows: ingest.dataset, script: ./sql/double.sql }
    outputs: { doubled: parquet }
  far: { run: "true", inputs: { doubled: double.doubled } }
`,
  });
  const { client } = await startForTest(project);
  const plan = await client.call("plan.make", { body: { pipeline: "mixed" } });
  expect(plan.problems).toEqual([]);
  expect(plan.steps.map((step) => step.tool)).toEqual(["embedded/record", "embedded/process", "custom/far"]);
  const run = await client.call("runs.create", { body: { pipeline: "mixed" } });
  await runToEnd(client, run.id);
  const { steps } = await client.call("runs.get", { params: { runId: run.id } });
  expect(steps.map(({ step, state }) => [step, state])).toEqual([
    ["ingest", "succeeded"],
    ["double", "succeeded"],
    ["far", "failed"],
  ]);
  expect(steps[2]?.error?.message).toContain("the far machine was asked");
});

test("a control plane that starts removes the folders of attempts that ended long ago, and no others", async () => {
  const project = await makeProject({});
  const attempts = join(project, ".espalier/attempts");
  for (const name of ["old", "new"]) {
    await mkdir(join(attempts, name), { recursive: true });
    await writeFile(join(attempts, name, "exit.json"), '{"exitCode":1}');
  }
  await utimes(join(attempts, "old"), 0, 0);
  await startForTest(project);
  await vi.waitUntil(() => !existsSync(join(attempts, "old")), { timeout: 20_000 });
  expect(existsSync(join(attempts, "new/exit.json"))).toBe(true);
});
