import { createHash } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Client, Transfer } from "@espalier/contract";
import { expect, test } from "vitest";
import { makeProject, runToEnd, startForTest } from "../testing/control-plane.ts";
import { openTrackedSource } from "./sources/open-source-of.ts";
import { mlruns, writeFiles } from "./testing/mlruns.ts";

const pipeline = `
name: train
steps:
  train:
    run: 'echo "{\\"type\\":\\"metric\\",\\"key\\":\\"auc\\",\\"value\\":0.7}" >> "$ESPALIER_EVENTS"; mkdir "$ESPALIER_OUTPUTS/out"; echo hello > "$ESPALIER_OUTPUTS/out/a.txt"'
    inputs: { rows: "dataset:rows@1" }
    outputs: { out: tree }
`;

async function exported(client: Client, folder: string): Promise<Transfer> {
  const started = await client.call("transfers.exportProject", { body: { folder } });
  for await (const _ of client.events("transfers.events", { params: { transferId: started.id } }));
  return client.call("transfers.get", { params: { transferId: started.id } });
}

async function filled() {
  const project = await makeProject({ "pipelines/train.yaml": pipeline, "data/a.csv": "id\n1\n" });
  await writeFiles(join(project, "old"), mlruns);
  const { client } = await startForTest(project);
  await client.call("datasets.log", { body: { name: "rows", path: "data/a.csv" } });
  const imported = await client.call("transfers.import", { body: { source: "old" } });
  for await (const _ of client.events("transfers.events", { params: { transferId: imported.id } }));
  const run = await client.call("runs.create", { body: { pipeline: "train" } });
  await runToEnd(client, run.id);
  return { project, client, run };
}

test("everything is there in open formats, each file with its digest, and a second export sends nothing anew", async () => {
  const { project, client, run } = await filled();
  const left = join(project, "left");
  const first = await exported(client, "left");
  expect(first.counts?.filter(({ equal }) => !equal)).toEqual([]);
  expect(first.state).toBe("done");

  expect(await readFile(join(left, "datasets/rows/1/data.csv"), "utf8")).toBe("id\n1\n");
  const { steps } = JSON.parse(await readFile(join(left, `runs/${run.id}.json`), "utf8"));
  const { digest } = steps[0].outputs.out as { digest: string };
  expect(await readFile(join(left, "artifacts", digest.replace(":", "-"), "a.txt"), "utf8")).toBe("hello\n");
  const [event] = (await readFile(join(left, "lineage/openlineage.jsonl"), "utf8"))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(event).toMatchObject({
    eventType: "COMPLETE",
    run: { runId: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/) },
    job: { name: "train" },
    inputs: [{ name: "dataset:rows@1" }],
    outputs: [{ name: "train.train.out", facets: { version: { datasetVersion: digest } } }],
  });

  const folder = await openTrackedSource({ source: join(left, "mlruns") });
  const names: string[] = [];
  for await (const experiment of folder.experiments()) names.push(`${experiment.name} ${experiment.lifecycle}`);
  expect(names).toEqual(expect.arrayContaining(["flights active", "gone deleted", "train active"]));
  const points: string[] = [];
  for await (const told of folder.runs((await idOf(folder, "flights")) ?? "")) {
    for await (const batch of folder.points(told))
      points.push(...batch.map(({ key, value, step }) => `${key} ${value} ${step}`));
  }
  expect(points).toEqual(expect.arrayContaining(["loss NaN 2", "loss Infinity 3", "deep/key 1.5 1152921504606846977"]));
  for await (const version of folder.versions("delay")) {
    expect(version).toMatchObject({ version: 3, stage: "Production", description: "third" });
    expect(await readFile(join(left, version.source, "data/weights.bin"), "utf8")).toBe("weights");
  }
  await folder.close();

  const manifest = JSON.parse(await readFile(join(left, "manifest.json"), "utf8")) as {
    files: { path: string; size: number; sha256: string }[];
  };
  const here = (await readdir(left, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  expect(manifest.files).toHaveLength(here.length - 1);
  for (const { path, size, sha256 } of manifest.files) {
    const bytes = await readFile(join(left, path));
    expect([path, bytes.length, createHash("sha256").update(bytes).digest("hex")]).toEqual([path, size, sha256]);
  }

  // Cut off before its end: what is missing comes again, what is there stays.
  await rm(join(left, "manifest.json"));
  await rm(join(left, "artifacts", digest.replace(":", "-")), { recursive: true });
  const again = await exported(client, "left");
  expect(again.progress?.skipped ?? 0).toBeGreaterThanOrEqual(0);
  expect(await readFile(join(left, "artifacts", digest.replace(":", "-"), "a.txt"), "utf8")).toBe("hello\n");
  const second = JSON.parse(await readFile(join(left, "manifest.json"), "utf8")) as typeof manifest;
  expect(second.files.map(({ path, sha256 }) => `${path} ${sha256}`)).toEqual(
    manifest.files.map(({ path, sha256 }) => `${path} ${sha256}`),
  );
});

async function idOf(source: Awaited<ReturnType<typeof openTrackedSource>>, name: string): Promise<string | undefined> {
  for await (const experiment of source.experiments()) if (experiment.name === name) return experiment.id;
  return undefined;
}

test("a folder that holds something else is refused, and nothing in it is touched", async () => {
  const project = await makeProject({ "full/notes.txt": "mine" });
  const { client } = await startForTest(project);
  const refused = client.call("transfers.exportProject", { body: { folder: "full" } });
  await expect(refused).rejects.toMatchObject({ code: "CONFLICT", hint: expect.stringContaining("empty") });
  expect(await readdir(join(project, "full"))).toEqual(["notes.txt"]);
  await expect(client.call("transfers.exportProject", { body: { folder: "full/notes.txt" } })).rejects.toMatchObject({
    code: "CONFLICT",
    message: expect.stringContaining("can not be a folder"),
  });
  await writeFile(join(project, "full", "espalier-export.json"), '{"format":1,"id":"x","project":"another"}');
  await expect(client.call("transfers.exportProject", { body: { folder: "full" } })).rejects.toMatchObject({
    code: "CONFLICT",
    message: expect.stringContaining("the project another"),
  });
});
