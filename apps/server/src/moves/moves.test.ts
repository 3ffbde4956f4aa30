import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Client, Move } from "@espalier/contract";
import { expect, test } from "vitest";
import { makeProject, runToEnd, startForTest } from "../testing/control-plane.ts";

const files = {
  "espalier.yaml": `project: flights
default_stack: here
stacks:
  here: { artifacts: { uses: filesystem, with: { path: ./one } } }
  there: { artifacts: { uses: filesystem, with: { path: ./two } } }
  never: { artifacts: { uses: filesystem, with: { path: ./never } } }
  beside: { artifacts: { uses: filesystem, with: { path: ./one } } }
`,
  "pipelines/make.yaml": `
name: make
steps:
  many:
    run: 'mkdir -p "$ESPALIER_OUTPUTS/many"; for i in $(seq 20); do echo "file $i" > "$ESPALIER_OUTPUTS/many/$i"; done'
    outputs: { many: tree }
  one: { run: 'echo one > "$ESPALIER_OUTPUTS/one"', outputs: { one: file } }
`,
  "data/a.csv": "id,city\n1,north\n",
};

async function moved(client: Client, from: string, to: string, verify: "sample" | "all" = "all"): Promise<Move> {
  const started = await client.call("moves.start", { body: { from, to, verify } });
  for await (const _ of client.events("moves.events", { params: { moveId: started.id } }));
  return client.call("moves.get", { params: { moveId: started.id } });
}

test("everything on record goes over, verified, and a run on the other stack is all cached", async () => {
  const project = await makeProject(files);
  const plane = await startForTest(project, { stack: "here" });
  const { client } = plane;
  await client.call("datasets.log", { body: { name: "rows", path: "data/a.csv" } });
  const first = await client.call("runs.create", { body: { pipeline: "make" } });
  await runToEnd(client, first.id);

  const plan = await client.call("moves.plan", { query: { from: "here", to: "there" } });
  expect(plan).toMatchObject({ sameStore: false, problems: [], remaining: [], dollarsAMonth: 0 });
  expect(plan.missing).toEqual({ artifacts: plan.artifacts, bytes: plan.bytes });
  expect(plan.freeBytes).toBeGreaterThan(0);

  const done = await moved(client, "here", "there");
  expect(done).toMatchObject({ state: "done", artifacts: plan.artifacts, held: 0, failed: 0, damaged: [] });
  expect(done.verified).toBeGreaterThanOrEqual(done.objects);
  const again = await moved(client, "here", "there");
  expect(again).toMatchObject({ state: "done", artifacts: plan.artifacts, held: plan.artifacts, objects: 0, bytes: 0 });
  // From a store that never had any of it, and where all of it is already.
  const back = await moved(client, "never", "here");
  expect(back).toMatchObject({ state: "done", artifacts: plan.artifacts, held: plan.artifacts, objects: 0, failed: 0 });

  await plane.close();
  await rm(join(project, "one"), { recursive: true });
  const other = await startForTest(project, { stack: "there" });
  const run = await other.client.call("runs.create", { body: { pipeline: "make" } });
  await runToEnd(other.client, run.id);
  const { counts } = await other.client.call("runs.get", { params: { runId: run.id } });
  expect(counts).toEqual({ cached: 2 });
});

test("what the source lost is named, and the rest goes over", async () => {
  const project = await makeProject(files);
  const { client } = await startForTest(project, { stack: "here" });
  await runToEnd(client, (await client.call("runs.create", { body: { pipeline: "make" } })).id);
  const logged = await client.call("datasets.log", { body: { name: "rows", path: "data/a.csv" } });
  const [, hex] = logged.artifact.digest.split(":") as [string, string];
  await rm(join(project, "one", "blobs", hex.slice(0, 2), hex.slice(2)));
  const done = await moved(client, "here", "there", "sample");
  expect(done).toMatchObject({
    state: "damaged",
    failed: 1,
    failures: [{ digest: logged.artifact.digest, code: "NOT_FOUND" }],
  });
  expect(done.objects).toBeGreaterThan(0);
});

test("refuses what can not be moved, before anything is written", async () => {
  const project = await makeProject(files);
  const { client } = await startForTest(project, { stack: "here" });
  await client.call("datasets.log", { body: { name: "rows", path: "data/a.csv" } });
  const plan = (from: string, to: string) => client.call("moves.plan", { query: { from, to } });
  await expect(plan("here", "their")).rejects.toMatchObject({
    code: "NOT_FOUND",
    hint: expect.stringContaining("there"),
  });
  await expect(plan("here", "here")).rejects.toMatchObject({ code: "INVALID_INPUT" });
  expect(await plan("here", "beside")).toMatchObject({ sameStore: true, missing: { artifacts: 0, bytes: 0 } });
  expect(await moved(client, "here", "beside")).toMatchObject({ state: "done", objects: 0 });
  await mkdir(join(project, "two"));
  await writeFile(join(project, "two", "espalier-store.json"), '{"version":1,"database":"another"}\n');
  expect((await plan("here", "there")).problems).toMatchObject([
    { code: "CONFLICT", at: "stacks.there.artifacts", message: expect.stringContaining("another project") },
  ]);
  expect(await moved(client, "here", "there")).toMatchObject({ state: "failed", error: { code: "CONFLICT" } });
  expect(await readdir(join(project, "two"))).toEqual(["espalier-store.json"]);
});
