import { expect, test } from "vitest";
import { makeProject, startForTest } from "../testing/control-plane.ts";

const pipeline = "name: train\nsteps:\n  fit: { run: 'true' }\n";

test("a stream tells which topics changed; its last id tells after a restart what changed meanwhile, and nothing else", async () => {
  const folder = await makeProject({ "pipelines/train.yaml": pipeline });
  const first = await startForTest(folder);
  const gone = new AbortController();
  const stream = first.client.events("events.stream", { signal: gone.signal });
  const opened = (await stream.next()).value;
  expect(opened?.data).toEqual({ changed: [] });
  const { id } = await first.client.call("runs.create", { body: { pipeline: "train" } });
  expect((await stream.next()).value?.data.changed).toContain("runs");
  for await (const _ of first.client.events("runs.events", { params: { runId: id } }));
  gone.abort();
  await first.close();

  const second = await startForTest(folder);
  const afterOpening = second.client.events("events.stream", { query: { after: opened?.id ?? "" } });
  const told = (await afterOpening.next()).value;
  expect(told?.data.changed).toEqual(["runs", "changes"]);
  await afterOpening.return();
  const afterAll = second.client.events("events.stream", { query: { after: told?.id ?? "" } });
  expect((await afterAll.next()).value?.data.changed).toEqual([]);
  await afterAll.return();
});

test("an id that is none of this stream's is refused with its place", async () => {
  const { client } = await startForTest(await makeProject({}));
  await expect(client.events("events.stream", { query: { after: "7" } }).next()).rejects.toMatchObject({
    code: "INVALID_INPUT",
    at: "headers.last-event-id",
  });
});
