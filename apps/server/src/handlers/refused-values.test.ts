import { expect, test } from "vitest";
import { makeProject, runToEnd, startForTest } from "../testing/control-plane.ts";

/** What a fuzzer found to be answered with a fault of ours. */
const files = {
  "pipelines/small.yaml":
    "name: small\nsteps:\n  say: { run: 'echo hello > ${{ outputs.said }}', outputs: { said: file } }\n",
};

test("values that are of the right form and mean nothing are refused, never a fault", async () => {
  const { client } = await startForTest(await makeProject(files));
  for (const logicalDate of ["7569-82-78T08:60+60:04", "2001-13-01", "2001-01-01T25:00Z"]) {
    await expect(client.call("plan.make", { body: { pipeline: "small", logicalDate } })).rejects.toMatchObject({
      code: "INVALID_INPUT",
      at: "body.logicalDate",
    });
  }
  await expect(
    client.call("tokens.create", { body: { name: "x", role: "viewer", expiresInSeconds: 9_007_199_254_740_990 } }),
  ).rejects.toMatchObject({ code: "INVALID_INPUT", at: "body.expiresInSeconds" });
  expect((await client.call("tokens.list")).items).toEqual([]);
});

test("a file that is asked for as a tree is not damaged", async () => {
  const { client } = await startForTest(await makeProject(files));
  const { id: runId } = await client.call("runs.create", { body: { pipeline: "small" } });
  await runToEnd(client, runId);
  const { items } = await client.call("artifacts.ofRun", { params: { runId } });
  const params = { digest: items[0]?.artifact.digest ?? "" };
  for (const type of ["tree", "model"] as const) {
    await expect(client.call("artifacts.files", { params, query: { type } })).rejects.toMatchObject({
      code: "INVALID_INPUT",
      at: "query.type",
    });
  }
  expect((await client.call("artifacts.files", { params, query: { type: "file" } })).items).toHaveLength(1);
});
