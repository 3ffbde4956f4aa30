import type { SourceRun } from "@espalier/core";
import { expect, test } from "vitest";
import { startPostgres } from "../../../../../../scripts/servers/postgres.ts";
import { noteRegistry, noteTracking } from "../../mirror-changes.ts";
import { describeOnBoth } from "../../testing/databases.ts";
import { createMirrorQueries } from "../mirrors.ts";
import { countImported } from "./count-imported.ts";
import { createImportRegistry } from "./import-registry.ts";
import { createImportRows } from "./import-rows.ts";
import { createTrackedReads } from "./read-tracked.ts";
import { createTransferQueries } from "./transfers.ts";

const peer = { direction: "import", peer: "http://there" } as const;

const runOf = (experimentId: string): SourceRun => ({
  run: {
    id: "r1",
    experimentId,
    name: "first",
    user: "ada",
    status: "FINISHED",
    lifecycle: "deleted",
    startTime: 5,
    endTime: 9,
    parentRunId: "r0",
  },
  params: Object.fromEntries(Array.from({ length: 700 }, (_, index) => [`p${index}`, `${index}`])),
  tags: { a: "1", b: "é" },
  metricKeys: ["loss"],
  inputs: [
    { name: "train", digest: "d", sourceType: "local", source: "{}", schema: "[]", tags: { context: "training" } },
  ],
  models: [{ modelId: "m-1", direction: "output", step: 2n ** 60n }],
  artifactUri: "mlflow-artifacts:/1/r1/artifacts",
});

describeOnBoth("imports and mirrors in the record", await startPostgres(), ({ openDatabase }) => {
  test("what is written by sets is read back as it was, also when it is written again", async () => {
    const database = await openDatabase();
    const rows = createImportRows(database);
    const reads = createTrackedReads(database);
    const transfers = createTransferQueries(database);
    const experiment = {
      id: "77",
      name: "flights",
      lifecycle: "deleted",
      tags: { team: "x" },
      createdAt: 3,
      updatedAt: 4,
    } as const;
    const points = [
      { key: "loss", value: Number.NaN, step: 1, timestamp: 1 },
      { key: "loss", value: Number.NEGATIVE_INFINITY, step: 2, timestamp: 1 },
      { key: "loss", value: 0.1, step: 2n ** 60n + 1n, timestamp: 2 },
    ];
    let id = "";
    for (let time = 0; time < 2; time += 1) {
      id = await rows.putExperiment(experiment);
      await rows.putRun(runOf(id), `${id}/r1/artifacts`);
      await rows.putPoints("r1", points);
      await rows.putFiles([{ path: `${id}/r1/artifacts/a.txt`, digest: "sha256:00", size: 7, createdBy: "ada" }]);
    }
    expect(await reads.experiment(id)).toEqual({ ...experiment, id });
    const found = await reads.run("r1");
    expect(found).toEqual({ ...runOf(id), artifactUri: `mlflow-artifacts:/${id}/r1/artifacts` });
    const told = [];
    for await (const batch of reads.points("r1")) told.push(...batch);
    expect(told).toHaveLength(3);
    expect(told).toEqual(expect.arrayContaining(points));
    await transfers.put(peer, { kind: "experiment", sourceId: "77", targetId: id, counts: {}, done: true });
    const item = {
      kind: "run" as const,
      sourceId: "r1",
      targetId: "r1",
      root: `${id}/r1/artifacts`,
      counts: { runs: 1 },
    };
    await transfers.put(peer, { ...item, done: true });
    expect(await countImported(database, peer.peer)).toMatchObject({
      experiments: 1,
      runs: 1,
      params: 700,
      tags: 2,
      metrics: 1,
      points: 3,
      inputs: 1,
      files: 1,
      bytes: 7,
    });
    await expect(rows.putRun(runOf("0"), "0/r1/artifacts")).rejects.toMatchObject({ code: "CONFLICT" });
  });

  test("the registry comes with its numbers, stages and aliases", async () => {
    const database = await openDatabase();
    const registry = createImportRegistry(database);
    const reads = createTrackedReads(database);
    const model = {
      name: "delay",
      description: "d",
      tags: { o: "1" },
      aliases: { champion: 3 },
      createdAt: 1,
      updatedAt: 2,
    };
    const version = {
      name: "delay",
      version: 3,
      source: "mlflow-artifacts:/1/r/artifacts/model",
      location: "1/r/artifacts/model",
      runId: "r",
      stage: "Staging",
      status: "READY",
      user: "ada",
      tags: { t: "1" },
      createdAt: 1,
      updatedAt: 2,
    };
    for (let time = 0; time < 2; time += 1) {
      await registry.putRegisteredModel(model);
      await registry.putVersion(version);
      await registry.putAliases("delay", model.aliases, "ada");
    }
    expect(await reads.registeredModel("delay")).toEqual(model);
    expect(await reads.version("delay", 3)).toEqual(version);
    expect(await reads.versionNumbers("delay", 0, 10)).toEqual([3]);
    expect(await registry.versionsOf("delay")).toBe(1);
    expect(await registry.versionsOf("other")).toBeUndefined();
  });

  test("a pass that was cut off goes on, one that ended begins anew", async () => {
    const database = await openDatabase();
    const transfers = createTransferQueries(database);
    const begin = (id: string) => transfers.start({ id, ...peer, options: {}, createdBy: "ada" });
    const isDone = async () => (await transfers.item(peer, "run", "r1"))?.done;
    await begin("t1");
    expect(await transfers.resume(peer, "t1")).toBe(false);
    await transfers.put(peer, { kind: "run", sourceId: "r1", targetId: "r1", counts: { points: 2 }, done: true });
    await begin("t2");
    expect(await transfers.resume(peer, "t2")).toBe(true);
    expect(await isDone()).toBe(true);
    await transfers.finish("t2", { state: "done", result: { counts: [] } });
    await begin("t3");
    expect(await transfers.resume(peer, "t3")).toBe(false);
    expect(await isDone()).toBe(false);
    expect((await transfers.list({ limit: 10 })).items).toHaveLength(3);
    expect(await transfers.get("t2")).toMatchObject({ state: "done", result: { counts: [] } });
  });

  test("the outbox keeps order and values; a failure waits, a success forgets", async () => {
    const database = await openDatabase();
    const mirrors = createMirrorQueries(database);
    const change = { kind: "run", subject: "r0" } as const;
    await database.transaction((transaction) => noteTracking(database, transaction, change));
    expect(await mirrors.next("s/tracking", 10)).toEqual([]);
    mirrors.tell({ tracking: ["s/tracking"], registry: ["s/registry"], runs: [] });
    const points = [{ key: "a", value: Number.NaN, step: 2n ** 60n, timestamp: 5 }];
    await database.transaction(async (transaction) => {
      await noteTracking(database, transaction, { kind: "run", subject: "r1" });
      await noteTracking(database, transaction, { kind: "metrics", subject: "r1", points });
      await noteTracking(database, transaction, { kind: "tags", subject: "r1", tags: { a: null } });
      await noteRegistry(database, transaction, { kind: "version", subject: "m/1" });
    });
    const rows = await mirrors.next("s/tracking", 2);
    expect(rows).toEqual([
      { number: 1, change: { kind: "run", subject: "r1" } },
      { number: 2, change: { kind: "metrics", subject: "r1", points } },
    ]);
    expect(await mirrors.newest("s/tracking")).toBe(3);
    expect(await mirrors.claim("s/tracking", 60)).toBe(true);
    if (database.kind === "postgres") expect(await mirrors.claim("s/tracking", 60)).toBe(false);
    await mirrors.failed("s/tracking", "UNREACHABLE", 60);
    await mirrors.failed("s/tracking", "UNREACHABLE", 60);
    expect(await mirrors.claim("s/tracking", 60)).toBe(false);
    expect(await mirrors.status("s/tracking")).toMatchObject({ pending: 3, tries: 2, lastError: "UNREACHABLE" });
    await mirrors.retryNow("s/tracking");
    expect(await mirrors.claim("s/tracking", 60)).toBe(true);
    await mirrors.delivered("s/tracking", 2);
    expect(await mirrors.claim("s/tracking", 60)).toBe(true);
    await mirrors.release("s/tracking");
    expect(await mirrors.status("s/tracking")).toMatchObject({ pending: 1, tries: 0, delivered: 2 });
    expect((await mirrors.next("s/tracking", 10)).map((row) => row.number)).toEqual([3]);
    expect((await mirrors.next("s/registry", 10)).map((row) => row.change.subject)).toEqual(["m/1"]);
    await mirrors.putName("s/registry", "version", "m/1", "9");
    expect(await mirrors.namesUnder("s/registry", "version", "m/")).toEqual(["m/1"]);
    await mirrors.dropName("s/registry", "version", "m/1");
    expect(await mirrors.nameOf("s/registry", "version", "m/1")).toBeUndefined();
  });
});
