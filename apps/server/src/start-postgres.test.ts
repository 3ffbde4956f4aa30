import { afterAll, expect, test } from "vitest";
import { startPostgres } from "../../../scripts/servers/postgres.ts";
import { makeProject, runToEnd, startForTest } from "./testing/control-plane.ts";

const postgres = await startPostgres();
afterAll(async () => {
  if (!("skipped" in postgres)) await postgres.stop();
});

const files = {
  "pipelines/one.yaml": `
name: one
steps:
  ingest: { uses: dataset, inputs: { file: ./a.csv }, with: { name: rows } }
  count: { run: "wc -l < \${{ inputs.rows }} > \${{ outputs.n }}", inputs: { rows: ingest.dataset }, outputs: { n: file } }
`,
  "a.csv": "x\n1\n",
};

test.skipIf("skipped" in postgres)(
  "a pipeline runs end to end on PostgreSQL, and its record outlives the folder",
  async () => {
    const databaseUrl = "skipped" in postgres ? "" : postgres.url;
    const first = await startForTest(await makeProject(files), { databaseUrl });
    const { id } = await first.client.call("runs.create", { body: { pipeline: "one" } });
    await runToEnd(first.client, id);
    expect((await first.client.call("runs.get", { params: { runId: id } })).run.state).toBe("succeeded");
    expect((await first.client.call("project.info")).record).toBe("postgresql");
    await first.close();
    const elsewhere = await startForTest(await makeProject(files), { databaseUrl });
    expect((await elsewhere.client.call("runs.list")).items.map((run) => run.id)).toEqual([id]);
    expect((await elsewhere.client.call("datasets.list")).items).toMatchObject([{ name: "rows", versions: 1 }]);
  },
);
