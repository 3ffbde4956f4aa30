import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createClient } from "@espalier/contract";
import { expect, test } from "vitest";
import { makeProject, runToEnd, startForTest } from "../testing/control-plane.ts";

const files = {
  "espalier.yaml": `project: flights
default_stack: here
stacks:
  here: {}
  blocked: { artifacts: { uses: filesystem, with: { path: ./a-file/store } } }
  dead: { compute: { train: { uses: ray, with: { address: "http://127.0.0.1:9" } } } }
  deadlier: { compute: { train: { uses: slurm, with: { address: "http://127.0.0.1:9", user: nobody, token: x } } } }
`,
  "a-file": "not a folder\n",
  "pipelines/make.yaml":
    "name: make\nsteps:\n  one: { run: 'echo 1 > \"$ESPALIER_OUTPUTS/one\"', outputs: { one: file } }\n",
};

test("a sound project is told sound, down to a store that was written to and cleaned", async () => {
  const { client } = await startForTest(await makeProject(files));
  await runToEnd(client, (await client.call("runs.create", { body: { pipeline: "make" } })).id);
  const { healthy, checks } = await client.call("doctor.check", { query: { deep: true } });
  expect(checks.filter(({ status }) => status !== "ok")).toEqual([]);
  expect(healthy).toBe(true);
  expect(checks.map(({ name }) => name)).toEqual(
    expect.arrayContaining(["record", "clock", "store", "disk", "orphans"]),
  );
  expect(checks.find(({ name }) => name === "record")?.message).toMatch(/^SQLite answers, schema \d+$/);
});

test("a store that can not be written to, and a server that does not answer, say what follows and what to do", async () => {
  const { client } = await startForTest(await makeProject(files), { stack: "here" });
  const of = async (stack: string, name: string) => {
    const { healthy, checks } = await client.call("doctor.check", { query: { stack } });
    expect(healthy).toBe(false);
    return checks.find((check) => check.name === name);
  };
  expect(await of("blocked", "store")).toMatchObject({
    status: "fail",
    at: "stacks.blocked.artifacts",
    means: expect.stringContaining("No step can bring its outputs"),
    hint: expect.any(String),
  });
  expect(await of("dead", "compute train")).toMatchObject({
    status: "fail",
    at: "stacks.dead.compute.train",
    message: expect.stringMatching(/^(UNREACHABLE|UNAVAILABLE): /),
    means: expect.stringContaining("Steps that ask for this compute can not start"),
  });
  await expect(client.call("doctor.check", { query: { stack: "nowhere" } })).resolves.toMatchObject({ healthy: false });
});

test("objects that nothing refers to are told by a deep look", async () => {
  const project = await makeProject(files);
  const plane = await startForTest(project);
  await plane.client.call("datasets.log", { body: { name: "rows", path: "a-file" } });
  const store = join(project, ".espalier/store/blobs");
  const { mkdir } = await import("node:fs/promises");
  await mkdir(join(store, "00"), { recursive: true });
  await writeFile(join(store, "00", "0".repeat(62)), "left behind");
  const client = createClient({ url: plane.url, token: plane.token });
  const { checks } = await client.call("doctor.check", { query: { deep: true } });
  expect(checks.find(({ name }) => name === "orphans")).toMatchObject({
    status: "warn",
    message: expect.stringContaining("1 objects (11 bytes)"),
    hint: expect.stringContaining("espalier gc"),
  });
});
