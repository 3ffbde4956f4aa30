import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Client, Transfer } from "@espalier/contract";
import { expect, test } from "vitest";
import { makeProject, startForTest } from "../testing/control-plane.ts";
import { mlruns, writeFiles } from "./testing/mlruns.ts";

interface Opened {
  client: Client;
  url: string;
  project: string;
  folder: string;
}

async function open(files: Readonly<Record<string, string>> = mlruns): Promise<Opened> {
  const project = await makeProject({});
  const folder = join(project, "mlruns");
  await writeFiles(folder, files);
  const { client, url } = await startForTest(project);
  return { client, url, project, folder };
}

async function bring(
  client: Client,
  source: string,
  options: { experimentPrefix?: string; modelPrefix?: string; artifactRoot?: string } = {},
): Promise<Transfer> {
  const started = await client.call("transfers.import", { body: { source, ...options } });
  for await (const { data } of client.events("transfers.events", { params: { transferId: started.id } })) {
    if (data.state !== "running") return data;
  }
  return client.call("transfers.get", { params: { transferId: started.id } });
}

// biome-ignore lint/suspicious/noExplicitAny: answers of the MLflow face, read by hand.
async function mlflow(url: string, path: string, query: Record<string, string> = {}): Promise<any> {
  const response = await fetch(`${url}/api/2.0/mlflow/${path}?${new URLSearchParams(query)}`);
  expect(response.status).toBe(200);
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  return (await response.json()) as any;
}

const counts = ({ counts: rows = [] }: Transfer): Record<string, number> =>
  Object.fromEntries(rows.map(({ what, here }) => [what, here]));

const wanted = {
  experiments: 2,
  runs: 2,
  params: 1,
  tags: 2,
  metrics: 2,
  "metric points": 6,
  inputs: 1,
  "logged models": 0,
  "registered models": 1,
  "model versions": 1,
  aliases: 1,
  files: 3,
  "bytes of files": 27,
};

test("a file store comes whole, and coming again changes nothing", async () => {
  const { client, url, folder } = await open();
  const first = await bring(client, folder);
  expect(first).toMatchObject({ state: "done" });
  expect(counts(first)).toEqual(wanted);
  expect(counts(await bring(client, "mlruns"))).toEqual(wanted);

  const { experiment } = await mlflow(url, "experiments/get-by-name", { experiment_name: "flights" });
  expect(experiment.tags).toEqual([{ key: "team", value: "delays" }]);
  const { run } = await mlflow(url, "runs/get", { run_id: "aaaa" });
  expect(run.info).toMatchObject({
    run_name: "parent",
    status: "FINISHED",
    end_time: 1_700_000_009_000,
    user_id: "ada",
  });
  expect(run.data.params).toEqual([{ key: "note", value: "two\nlines é" }]);
  expect(run.inputs.dataset_inputs[0].dataset).toMatchObject({ name: "train", digest: "abc" });
  const history = await mlflow(url, "metrics/get-history", { run_id: "aaaa", metric_key: "loss", max_results: "100" });
  expect(history.metrics.map((point: { value: unknown }) => point.value)).toEqual([1, 0.5, "NaN", Number.MAX_VALUE]);
  const deep = await fetch(`${url}/api/2.0/mlflow/metrics/get-history?run_id=aaaa&metric_key=deep%2Fkey&max_results=9`);
  expect(await deep.text()).toContain("1152921504606846977");
  const child = await mlflow(url, "runs/get", { run_id: "bbbb" });
  expect(child.run.info.lifecycle_stage).toBe("deleted");
  const aliased = await mlflow(url, "registered-models/alias", { name: "delay", alias: "champion" });
  expect(aliased.model_version).toMatchObject({ version: "3", current_stage: "Production", description: "third" });
  const { artifact_uri: uri } = await mlflow(url, "model-versions/get-download-uri", { name: "delay", version: "3" });
  const place = uri.replace("mlflow-artifacts:/", "");
  const file = await fetch(`${url}/api/2.0/mlflow-artifacts/artifacts/${place}/data/weights.bin`);
  expect(await file.text()).toBe("weights");
});

test("names that are taken are told before anything is written; a prefix helps", async () => {
  const { client, folder, project } = await open();
  await bring(client, folder);
  const other = join(project, "other");
  await writeFiles(other, mlruns);
  const refused = await bring(client, other);
  expect(refused).toMatchObject({ state: "failed", error: { code: "ALREADY_EXISTS" } });
  expect(refused.error?.message).toMatch(/flights.*delay/);
  // The runs have the ids of those that are here already, in another experiment.
  const sameIds = await bring(client, other, { experimentPrefix: "b ", modelPrefix: "b-" });
  expect(sameIds).toMatchObject({ state: "failed", error: { code: "CONFLICT" } });
});

test("damage is named with its place, and nothing is written", async () => {
  const cases: [Record<string, string>, RegExp][] = [
    [{ "1/cccc/params/a": "1" }, /1\/cccc has no meta\.yaml/],
    [{ "1/aaaa/metrics/loss": "1 2 3\n17000" }, /metrics\/loss:2 is no metric/],
    [{ "1/aaaa/meta.yaml": "status: [" }, /1\/aaaa\/meta\.yaml is damaged/],
    [{ "models/delay/version-3/meta.yaml": "name: delay\n" }, /version-3\/meta\.yaml is damaged/],
    [{ "1/aaaa/inputs/i1/meta.yaml": "source_id: ../../../../../../etc\n" }, /leads out of|no meta\.yaml/],
  ];
  for (const [damage, said] of cases) {
    const { client, url, folder } = await open({ ...mlruns, ...damage });
    const failed = await bring(client, folder);
    expect(failed.state).toBe("failed");
    expect(failed.error).toMatchObject({ code: "INVALID_DATA" });
    expect(failed.error?.message).toMatch(said);
    const response = await fetch(`${url}/api/2.0/mlflow/experiments/get-by-name?experiment_name=flights`);
    expect(response.status).toBe(404);
  }
});

test("what is no store is told at once", async () => {
  const { client, project } = await open();
  await mkdir(join(project, "empty"));
  await writeFile(join(project, "text.db"), "hello");
  const code = (source: string) =>
    client.call("transfers.import", { body: { source } }).then(
      () => "nothing",
      (error: { code: string; hint?: string }) => {
        expect(error.hint, source).toBeDefined();
        return error.code;
      },
    );
  expect(await code("empty")).toBe("INVALID_INPUT");
  expect(await code("text.db")).toBe("INVALID_INPUT");
  expect(await code("absent")).toBe("INVALID_INPUT");
  expect(await code("postgresql://host/db")).toBe("UNSUPPORTED");
  expect(await code("http://user:secret@127.0.0.1:1")).toBe("INVALID_INPUT");
  const other = new DatabaseSync(join(project, "other.db"));
  other.exec("CREATE TABLE t (a)");
  other.close();
  expect(await code("other.db")).toBe("INVALID_INPUT");
});

test("this very control plane is no server to import from or to export to", async () => {
  const { client, url, folder } = await open();
  await bring(client, folder);
  const runs = async () => (await mlflow(url, "experiments/search", { max_results: "100" })).experiments;
  const before = await runs();
  const refused = { code: "CONFLICT", message: expect.stringContaining("itself") };
  await expect(client.call("transfers.import", { body: { source: `${url}/` } })).rejects.toMatchObject(refused);
  const aliased = url.replace("127.0.0.1", "localhost");
  for (const target of [url, aliased]) {
    await expect(client.call("transfers.export", { body: { target } })).rejects.toMatchObject(refused);
  }
  expect(await runs()).toEqual(before);
});

test("a link that leads out of the folder is not followed, and told", async () => {
  const { client, folder, project } = await open();
  await writeFile(join(project, "secret.txt"), "secret");
  await symlink(join(project, "secret.txt"), join(folder, "1/aaaa/artifacts/link.txt"));
  await symlink(project, join(folder, "1/aaaa/artifacts/out"));
  const done = await bring(client, folder);
  expect(done.state).toBe("done");
  expect(counts(done)).toEqual(wanted);
  expect(done.losses?.filter((loss) => loss.includes("link"))).toHaveLength(2);
});

test("a try that was cut off is gone on with, and nothing comes twice", async () => {
  const many = Object.fromEntries(
    Array.from({ length: 60 }, (_, index) => [
      [`1/r${index}/meta.yaml`, `run_id: r${index}\nrun_name: r${index}\nstart_time: 1\nstatus: 3\n`],
      [`1/r${index}/metrics/m`, Array.from({ length: 200 }, (_, step) => `${step} ${step}.5 ${step}`).join("\n")],
      [`1/r${index}/artifacts/f.txt`, `file ${index}`],
    ]).flat(),
  );
  const project = await makeProject({});
  const folder = join(project, "mlruns");
  await writeFiles(folder, { ...mlruns, ...many });
  const first = await startForTest(project);
  const started = await first.client.call("transfers.import", { body: { source: folder } });
  for await (const { data } of first.client.events("transfers.events", { params: { transferId: started.id } })) {
    if ((data.progress?.runs ?? 0) >= 5 || data.state !== "running") break;
  }
  await first.close();
  const second = await startForTest(project);
  expect(await second.client.call("transfers.get", { params: { transferId: started.id } })).toMatchObject({
    state: "interrupted",
  });
  const again = await second.client.call("transfers.import", { body: { source: folder } });
  let skipped = 0;
  let ended: Transfer = again;
  for await (const { data } of second.client.events("transfers.events", { params: { transferId: again.id } })) {
    skipped = Math.max(skipped, data.progress?.skipped ?? 0);
    ended = data;
  }
  expect(ended.state).toBe("done");
  expect(skipped).toBeGreaterThanOrEqual(5);
  expect(counts(ended)).toMatchObject({ runs: 62, "metric points": 6 + 60 * 200, files: 63 });
});
