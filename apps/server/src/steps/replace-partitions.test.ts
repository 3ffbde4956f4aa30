import { expect, test } from "vitest";
import { makeProject, runToEnd, startForTest } from "../testing/control-plane.ts";

const pipeline = `
name: days
params: { day: "1", text: "" }
steps:
  make:
    run: mkdir -p \${{ outputs.tree }}/day=\${{ params.day }} && printf %s \${{ params.text }} > \${{ outputs.tree }}/day=\${{ params.day }}/rows
    outputs: { tree: tree }
  publish: { uses: replace-partitions, inputs: { data: make.tree }, with: { name: days } }
`;
const flat = `
name: flat
steps:
  make: { run: "mkdir \${{ outputs.tree }} && touch \${{ outputs.tree }}/rows", outputs: { tree: tree } }
  publish: { uses: replace-partitions, inputs: { data: make.tree }, with: { name: days } }
`;

async function start() {
  const project = await makeProject({ "pipelines/days.yaml": pipeline, "pipelines/flat.yaml": flat });
  const { client } = await startForTest(project);
  const run = async (day: string, text: string): Promise<void> => {
    const { id } = await client.call("runs.create", { body: { pipeline: "days", params: { day, text } } });
    await runToEnd(client, id);
    expect((await client.call("runs.get", { params: { runId: id } })).run.state).toBe("succeeded");
  };
  /** Text of each day in the newest version. */
  const days = async (): Promise<Record<string, string>> => {
    const { artifact } = await client.call("datasets.show", { params: { name: "days", version: "latest" } });
    const { digest } = artifact;
    const found: Record<string, string> = {};
    for await (const { path } of client.all("artifacts.files", { params: { digest }, query: { type: "tree" } })) {
      const query = { type: "tree", path } as const;
      found[path] = await new Response(await client.bytes("artifacts.download", { params: { digest }, query })).text();
    }
    return found;
  };
  return { client, run, days };
}

test("runs that replace partitions at once lose none", async () => {
  const { run, days } = await start();
  const names = ["1", "2", "3", "4", "5", "6", "7", "8"];
  await Promise.all(names.map((day) => run(day, `first ${day}`)));
  expect(await days()).toEqual(Object.fromEntries(names.map((day) => [`day=${day}/rows`, `first ${day}`])));
  await Promise.all([run("2", "second"), run("5", "second")]);
  expect(await days()).toMatchObject({ "day=1/rows": "first 1", "day=2/rows": "second", "day=5/rows": "second" });
});

test("a state that was there before is the newest all the same; an equal one changes nothing", async () => {
  const { client, run, days } = await start();
  await run("1", "a");
  await run("1", "a");
  expect((await client.call("datasets.show", { params: { name: "days", version: "latest" } })).version).toBe(1);
  await run("1", "b");
  await run("1", "a");
  expect((await client.call("datasets.show", { params: { name: "days", version: "latest" } })).version).toBe(3);
  expect((await days())["day=1/rows"]).toBe("a");
  await run("2", "c");
  expect(await days()).toMatchObject({ "day=1/rows": "a", "day=2/rows": "c" });
});

test("a tree without folders has no partitions", async () => {
  const { client } = await start();
  const { id } = await client.call("runs.create", { body: { pipeline: "flat" } });
  await runToEnd(client, id);
  const { steps } = await client.call("runs.get", { params: { runId: id } });
  expect(steps[1]?.error).toMatchObject({
    code: "INVALID_INPUT",
    message: expect.stringMatching(/the file rows at its top/),
  });
});
