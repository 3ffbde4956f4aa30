import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { matrixSignature, treeModel, whyNotDetached, writeModelFolder } from "@espalier/conformance";
import { createClient } from "@espalier/contract";
import { type StartedControlPlane, startControlPlane } from "@espalier/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeProject } from "../faults/plane.ts";

const reason = whyNotDetached();
const root = mkdtempSync(join(tmpdir(), "espalier-batch-detached-"));
const folder = join(root, "project");
const elsewhere = join(root, "elsewhere");
const programs = join(root, "programs");
let plane: StartedControlPlane | undefined;
const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

const files = {
  "espalier.yaml": `project: batch-detached
default_stack: laptop
stacks:
  laptop: {}
  bare: { compute: { score: { uses: "npm:@own/detached", with: { folder: ${elsewhere} } } } }
  equipped: { compute: { score: { uses: "npm:@own/detached", with: { folder: ${elsewhere}, programs: ${programs} } } } }
`,
  "package.json": "{}",
  "data/rows.csv": `a,b,c\n${Array.from({ length: 500 }, (_, row) => `${row / 500},${(row % 7) / 7},${(row % 11) / 11}`).join("\n")}\n`,
  "pipelines/score.yaml": `name: score
steps:
  train: { run: "cp -r . \${{ outputs.model }}", source: ./model, outputs: { model: model } }
  score:
    uses: batch-predict
    compute: score
    inputs: { model: train.model, data: ./data/rows.csv }
    with: { keep: [a] }
`,
  "node_modules/@own/detached/package.json": '{"name":"@own/detached","main":"index.mjs"}',
  "node_modules/@own/detached/index.mjs": `
import { createDetachedRunner } from ${JSON.stringify(import.meta.resolve("@espalier/conformance"))};
import { createProcessRunner } from ${JSON.stringify(import.meta.resolve("@espalier/embedded"))};
import { z } from "zod";
export const tools = [{
  manifest: {
    tool: "detached", provider: "custom", component: "compute", milestone: 5, summary: "another user, HTTP only", capabilities: [],
    skills: [], cost: { money: "none", operations: "none" }, verified: { label: "real", against: "this test", live: "not applicable" },
  },
  config: z.strictObject({ folder: z.string(), programs: z.string().optional() }),
  create: ({ folder, programs }) => createDetachedRunner({
    inner: createProcessRunner(), folder, launcher: ${JSON.stringify(path("../../python/launcher.py"))},
    ...(programs === undefined ? {} : { binFolder: programs }),
  }),
}];
`,
};

beforeAll(async () => {
  if (reason !== undefined) return;
  writeProject(folder, files);
  await writeModelFolder(
    join(folder, "model"),
    treeModel({ columns: 3, trees: 30, depth: 4, seed: 2 }),
    matrixSignature(["a", "b", "c"]),
  );
  mkdirSync(elsewhere);
  mkdirSync(programs);
  const program = join(programs, "espalier");
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${path("../../apps/cli/src/main.ts")}' "$@"\n`, {
    mode: 0o755,
  });
  chmodSync(root, 0o711);
  chmodSync(folder, 0o700);
  symlinkSync(path("../../node_modules/zod"), join(folder, "node_modules", "zod"));
  plane = await startControlPlane({ projectDirectory: folder, databaseUrl: "" });
});
afterAll(async () => {
  await plane?.close();
  rmSync(root, { recursive: true, force: true });
});

async function run(stack: string) {
  if (!plane) throw new Error("not started");
  const client = createClient({ url: plane.url, token: plane.token });
  const { id } = await client.call("runs.create", { body: { pipeline: "score", stack, options: { force: true } } });
  for await (const _event of client.events("runs.events", { params: { runId: id } }));
  const detail = await client.call("runs.get", { params: { runId: id } });
  const attempts = detail.attempts.filter(({ step }) => step === "score");
  return { run: detail.run, attempts, step: detail.steps.find(({ step }) => step === "score"), client, id };
}

describe.skipIf(reason !== undefined)(`elsewhere${reason === undefined ? "" : ` (skipped: ${reason})`}`, () => {
  test("a built-in step gives the bytes that it gives here", async () => {
    const here = await run("laptop");
    const there = await run("equipped");
    expect(there.step?.error).toBeUndefined();
    expect(there.run.state).toBe("succeeded");
    expect(there.attempts.map(({ tool }) => tool)).toContain("custom/detached");
    expect(there.step?.outputs).toEqual(here.step?.outputs);
    expect(there.step?.values).toMatchObject({ report: { rows: 500, predicted: 500 } });
    const metrics = await there.client.call("runs.metrics", { params: { runId: there.id } });
    expect(metrics.items).toContainEqual(expect.objectContaining({ stepName: "score", key: "rows", value: 500 }));
  });
  test("it says what is missing where Espalier is not installed", async () => {
    const there = await run("bare");
    expect(there.run.state).toBe("failed");
    expect(JSON.stringify(there.step?.error)).toMatch(/needs `espalier` where it runs/);
  });
});
