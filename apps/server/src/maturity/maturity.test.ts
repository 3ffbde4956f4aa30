import { expect, test } from "vitest";
import { makeProject, runToEnd, startForTest } from "../testing/control-plane.ts";

const pipeline = `
name: train
steps:
  train:
    run: 'echo "{\\"type\\":\\"metric\\",\\"key\\":\\"auc\\",\\"value\\":0.7}" >> "$ESPALIER_EVENTS"'
`;

test("levels rest on what the record holds, with its ids", async () => {
  const { client } = await startForTest(
    await makeProject({ "pipelines/train.yaml": pipeline, "data/a.csv": "x\n1\n" }),
  );
  const before = await client.call("maturity.get");
  expect(before.models.map(({ level }) => level)).toEqual([0, 0]);
  const runs: string[] = [];
  for (const origin of ["ci:github/acme/flights#17", undefined]) {
    const { id } = await client.call("runs.create", {
      body: { pipeline: "train", ...(origin === undefined ? {} : { origin }), options: { force: true } },
    });
    await runToEnd(client, id);
    runs.push(id);
  }
  await client.call("datasets.log", { body: { name: "rows", path: "data/a.csv" } });
  const { models } = await client.call("maturity.get");
  const microsoft = models.find(({ model }) => model === "microsoft");
  expect(microsoft).toMatchObject({
    level: 1,
    levelName: "DevOps but no MLOps",
    missing: [{ provenBy: "registrations", count: 0 }],
  });
  const proofsOf = (kind: string) =>
    microsoft?.levels.flatMap(({ criteria }) => criteria).find(({ provenBy }) => provenBy === kind)?.proofs;
  expect(proofsOf("continuousIntegrationRuns")).toMatchObject([
    { id: `run:${runs[0]}`, what: "train in github/acme/flights#17" },
  ]);
  expect(proofsOf("trackedRuns")?.map(({ id }) => id)).toEqual([`run:${runs[1]}`, `run:${runs[0]}`]);
  expect(proofsOf("datasetVersions")).toMatchObject([{ id: "dataset:rows@1" }]);
});

test("an origin is a job of continuous integration, or refused", async () => {
  const { client } = await startForTest(await makeProject({ "pipelines/train.yaml": pipeline }));
  const created = client.call("runs.create", { body: { pipeline: "train", origin: "a claim" } });
  await expect(created).rejects.toMatchObject({ code: "INVALID_INPUT" });
});
