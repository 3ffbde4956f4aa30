import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createArtifacts } from "@espalier/core";
import { createFilesystemArtifactStore, createLocalFiles } from "@espalier/embedded";
import { pino } from "pino";
import { afterEach, expect, test } from "vitest";
import { startPostgres } from "../../../../scripts/servers/postgres.ts";
import type { ControlPlane } from "../control-plane.ts";
import { describeOnBoth, type TestDatabase } from "../db/testing/databases.ts";
import { newRun } from "../db/testing/runs.ts";
import { importAttemptRuns } from "./import-attempt-runs.ts";
import { mlruns, writeFiles } from "./testing/mlruns.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

async function begin(database: TestDatabase) {
  const folder = mkdtempSync(join(tmpdir(), "espalier-runs-"));
  folders.push(folder);
  const record = await database.open();
  const run = newRun();
  await record.engine.createRun(run);
  const epoch = (await record.engine.claimRuns("one", 60)).find(({ id }) => id === run.id)?.leaseEpoch ?? 0;
  const id = randomUUID();
  await record.engine.createAttempt(epoch, { id, runId: run.id, step: "train", branch: -1, number: 1, tool: "far" });
  const artifacts = createArtifacts(createFilesystemArtifactStore({ path: join(folder, "store") }), createLocalFiles());
  const plane = {
    record,
    artifacts,
    project: { stateDirectory: folder },
    logger: pino({ level: "silent" }),
    closing: new AbortController().signal,
  } as unknown as ControlPlane;
  const store = join(folder, "mlruns");
  await writeFiles(store, mlruns);
  return { record, run, id, store, bring: () => importAttemptRuns(plane, id, store) };
}

const told = (entries: readonly { key: string; value: unknown }[]): Record<string, unknown> =>
  Object.fromEntries(entries.map(({ key, value }) => [key, value]));

describeOnBoth("a file store that a step left", await startPostgres(), (database) => {
  test("is the attempt's own run and those below it; coming again changes nothing", async () => {
    const { record, run, id, bring } = await begin(database);
    const { runs, history } = record.tracking;
    const look = async () => {
      const own = await runs.get(id);
      const below = await runs.get("bbbb");
      const loss = await history.page(id, "loss", 100);
      const { entries } = await record.files.list(`${own?.experimentId}/${id}/artifacts`, 100);
      return { own, below, loss, entries };
    };
    await bring();
    const first = await look();
    expect(first.own).toMatchObject({ name: "train", status: "SCHEDULED" });
    expect(told(first.own?.params ?? [])).toEqual({ note: "two\nlines é" });
    expect(told(first.own?.tags ?? [])).toMatchObject({
      "mlflow.runName": "train",
      "mlflow.parentRunId": run.id,
      "espalier.mlflow_experiment": "flights",
      "espalier.step": "train",
    });
    expect(first.own?.datasets).toMatchObject([{ name: "train", digest: "abc" }]);
    expect(first.below).toMatchObject({ experimentId: first.own?.experimentId, lifecycleStage: "deleted" });
    expect(told(first.below?.tags ?? [])).toEqual({ "mlflow.parentRunId": id });
    expect(first.entries.map(({ name }) => name).sort()).toEqual(["a b%25.txt", "model"]);
    expect(JSON.stringify(first.loss, (_key, value) => (typeof value === "bigint" ? String(value) : value))).toContain(
      "0.5",
    );
    await bring();
    expect(await look()).toEqual(first);
    expect(await runs.get("aaaa"), "the script's own id is the attempt's now").toBeUndefined();
  });

  test("that is damaged is refused before anything of it is written", async () => {
    const { record, id, store, bring } = await begin(database);
    const before = await record.tracking.runs.get(id);
    writeFileSync(join(store, "1/bbbb/meta.yaml"), "run_id: [");
    await expect(bring()).rejects.toMatchObject({ code: "INVALID_DATA" });
    expect(await record.tracking.runs.get(id)).toEqual(before);
  });
});
