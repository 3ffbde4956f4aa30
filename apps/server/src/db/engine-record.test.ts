import { randomUUID } from "node:crypto";
import { digestOfJson } from "@espalier/core";
import { expect, test } from "vitest";
import { startPostgres } from "../../../../scripts/servers/postgres.ts";
import { describeOnBoth } from "./testing/databases.ts";
import { newRun, twoSteps } from "./testing/runs.ts";

const outputs = { model: { type: "model", digest: digestOfJson("model"), size: 10 } } as const;
const cacheKey = digestOfJson("key");

describeOnBoth("the engine's record", await startPostgres(), (database) => {
  test("a repeated create is the same run, with another pipeline a conflict", async () => {
    const { engine } = await database.open();
    const run = newRun({
      logicalDate: "2001-03-01T00:00:00Z",
      resolved: { "./a.csv": outputs.model, "models:/m@a": null },
    });
    const made = await engine.createRun(run);
    expect(made).toMatchObject({ ...run, state: "queued", leaseEpoch: 0, cancelRequested: false });
    expect(Math.abs(made.createdAt - Date.now())).toBeLessThan(60_000);
    expect(await engine.createRun(run)).toEqual(made);
    expect((await engine.steps(run.id)).map(({ step, branch, state }) => ({ step, branch, state }))).toEqual([
      { step: "train", branch: -1, state: "pending" },
      { step: "check", branch: -1, state: "pending" },
    ]);
    await expect(engine.createRun({ ...run, params: { rate: 0.2 } })).rejects.toMatchObject({ code: "CONFLICT" });
    expect(await engine.run(randomUUID())).toBeUndefined();
  });

  test("however many claim at once, each run goes to one", async () => {
    const projectId = randomUUID();
    const records = await Promise.all([1, 2, 3, 4].map(() => database.open(projectId)));
    for (let round = 0; round < 5; round += 1) {
      const runs = Array.from({ length: 10 }, () => newRun());
      for (const run of runs) await records[0]?.engine.createRun(run);
      const claimed = await Promise.all(records.map((record, index) => record.engine.claimRuns(`owner ${index}`, 600)));
      expect(
        claimed
          .flat()
          .map((run) => run.id)
          .sort(),
      ).toEqual(runs.map((run) => run.id).sort());
      expect(claimed.flat().every((run) => run.leaseEpoch === 1)).toBe(true);
    }
  });

  test("a lease that ran out moves on with a new epoch, and its first owner is a stranger", async () => {
    const projectId = randomUUID();
    const [first, second] = [await database.open(projectId), await database.open(projectId)];
    const runs = [newRun(), newRun(), newRun(), newRun()];
    for (const run of runs) await first.engine.createRun(run);
    // A lease that ended a second ago needs no waiting.
    const early = await first.engine.claimRuns("one", -1);
    expect(early.length).toBe(4);
    const late = await second.engine.claimRuns("two", 60);
    for (const run of early) {
      const taken = late.find((one) => one.id === run.id);
      expect(taken?.leaseEpoch).toBeGreaterThan(run.leaseEpoch);
      await expect(
        first.engine.moveRun(run.id, run.leaseEpoch, { from: ["queued"], to: "running" }),
      ).rejects.toMatchObject({ code: "CONFLICT" });
    }
    const [cancelled] = runs;
    await second.engine.requestCancel(cancelled?.id ?? "");
    const leases = (claimed: typeof early) => claimed.map((run) => ({ runId: run.id, epoch: run.leaseEpoch }));
    expect(await first.engine.renewLeases(leases(early), 60)).toEqual([]);
    const renewed = await second.engine.renewLeases([...leases(early), ...leases(late)], 60);
    expect(renewed.map(({ runId }) => runId).sort()).toEqual(late.map((run) => run.id).sort());
    expect(renewed.filter((lease) => lease.cancelRequested).map((lease) => lease.runId)).toEqual([cancelled?.id]);
    expect(await first.engine.claimRuns("one", 60)).toEqual([]);
  });

  test("an attempt's end and its step's end are one transaction, and make the cache entry", async () => {
    const { engine } = await database.open();
    const run = newRun();
    await engine.createRun(run);
    const [claimed] = await engine.claimRuns("one", 60);
    const epoch = claimed?.leaseEpoch ?? 0;
    const step = { runId: run.id, step: "train", branch: -1 };
    const attempt = { id: randomUUID(), ...step, number: 1, tool: "embedded/process" };
    await engine.moveRun(run.id, epoch, { from: ["queued"], to: "running" });
    await engine.moveStep(step, epoch, { from: ["pending"], to: "running" }, { cacheKey, keyParts: { a: 1 } });
    await engine.createAttempt(epoch, attempt);
    await engine.createAttempt(epoch, attempt);
    expect(await engine.findCached(cacheKey)).toBeUndefined();
    await engine.moveAttempt(attempt.id, epoch, { from: ["created"], to: "submitted" }, { handle: "pid:1" });
    await engine.moveAttempt(
      attempt.id,
      epoch,
      { from: ["submitted"], to: "succeeded" },
      { exitCode: 0 },
      { transition: { from: ["running"], to: "succeeded" }, patch: { outputs, values: { size: 3 } } },
    );
    expect(await engine.findCached(cacheKey)).toEqual({
      attemptId: attempt.id,
      runId: run.id,
      outputs,
      values: { size: 3 },
    });
    expect((await engine.attempts(run.id)).map((one) => [one.state, one.handle, one.exitCode])).toEqual([
      ["succeeded", "pid:1", 0],
    ]);
    expect((await engine.earlierSteps(twoSteps.name, "train", 5))[0]).toMatchObject({
      cacheKey,
      keyParts: { a: 1 },
      outputs,
    });
    await expect(
      engine.moveAttempt(attempt.id, epoch, { from: ["succeeded"], to: "failed" }),
      "a terminal state changed",
    ).rejects.toMatchObject({ code: "CONFLICT" });
  });

  test("a change that fails leaves nothing of its batch behind", async () => {
    const { engine } = await database.open();
    const run = newRun();
    await engine.createRun(run);
    const epoch = (await engine.claimRuns("one", 60))[0]?.leaseEpoch ?? 0;
    await expect(
      engine.applyAll(run.id, epoch, [
        { kind: "moveRun", transition: { from: ["queued"], to: "running" } },
        { kind: "moveStep", step: "train", branch: -1, transition: { from: ["running"], to: "succeeded" } },
      ]),
    ).rejects.toMatchObject({ code: "CONFLICT", message: expect.stringContaining("train") });
    expect(await engine.run(run.id)).toMatchObject({ state: "queued" });
    await expect(
      engine.moveStep({ runId: run.id, step: "none", branch: -1 }, epoch, { from: ["pending"], to: "running" }),
    ).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("events of a step are taken once, whoever reads its file, however often", async () => {
    const projectId = randomUUID();
    const [one, two] = [await database.open(projectId), await database.open(projectId)];
    const run = newRun();
    await one.engine.createRun(run);
    const epoch = (await one.engine.claimRuns("one", 60))[0]?.leaseEpoch ?? 0;
    const id = randomUUID();
    await one.engine.createAttempt(epoch, { id, runId: run.id, step: "train", branch: -1, number: 1, tool: "t" });
    const events = [
      { type: "metric", key: "auc", value: 0.7, step: 1, timestamp: 1 },
      { type: "metric", key: "auc", value: "NaN", step: 2, timestamp: 2 },
      { type: "tag", key: "a", value: "with\0nul" },
      { type: "note", text: "hello" },
      { type: "progress", done: 1, total: 2 },
    ] as const;
    await Promise.all([one, two, one, two].map((record) => record.engine.appendStepEvents(id, events, 0, 100)));
    expect(await two.engine.eventOffset(id)).toBe(100);
    await expect(one.engine.appendStepEvents(id, events, 120, 140)).rejects.toMatchObject({ code: "CONFLICT" });
  });

  test("of attempts that searched, the last value of a metric", async () => {
    const { engine } = await database.open();
    const run = newRun();
    await engine.createRun(run);
    const epoch = (await engine.claimRuns("one", 60))[0]?.leaseEpoch ?? 0;
    const ids = [randomUUID(), randomUUID(), randomUUID()] as const;
    for (const [branch, id] of ids.entries()) {
      await engine.createAttempt(epoch, {
        id,
        runId: run.id,
        step: "train",
        branch: -1,
        number: branch + 1,
        tool: "t",
      });
    }
    const metric = (key: string, value: number | "NaN", step: number) =>
      ({ type: "metric", key, value, step, timestamp: step }) as const;
    await engine.appendStepEvents(ids[0], [metric("auc", 0.9, 1), metric("auc", 0.7, 2), metric("loss", 3, 2)], 0, 1);
    await engine.appendStepEvents(ids[1], [metric("auc", 0.7, 1), metric("auc", "NaN", 2)], 0, 1);
    expect(await engine.latestMetric([...ids, "unknown"], "auc")).toEqual(
      new Map([
        [ids[0], 0.7],
        [ids[1], Number.NaN],
      ]),
    );
    expect(await engine.latestMetric([], "auc")).toEqual(new Map());
    await engine.appendStepEvents(ids[2], [metric("auc", 0.4, 5), metric("auc", 0.5, 6)], 0, 1);
    expect(await engine.metricAtStep([...ids, "unknown"], "auc", 2)).toEqual(
      new Map([
        [ids[0], 0.7],
        [ids[1], Number.NaN],
        [ids[2], 0.4],
      ]),
    );
    expect(await engine.metricAtStep(ids, "auc", 6)).toEqual(new Map([[ids[2], 0.5]]));
    expect(await engine.metricAtStep(ids, "auc", 7)).toEqual(new Map());
  });

  test("of those who claim an attempt at once one has it, and keeps it", async () => {
    const { engine } = await database.open();
    const run = newRun();
    await engine.createRun(run);
    const epoch = (await engine.claimRuns("one", 60))[0]?.leaseEpoch ?? 0;
    const id = randomUUID();
    await engine.createAttempt(epoch, { id, runId: run.id, step: "train", branch: -1, number: 1, tool: "t" });
    const names = Array.from({ length: 8 }, (_, index) => `claimant ${index}`);
    const told = await Promise.all(names.map((name) => engine.claimAttempt(id, name)));
    expect(told.filter(Boolean)).toHaveLength(1);
    const first = names[told.indexOf(true)] ?? "";
    expect(await engine.claimAttempt(id, first)).toBe(true);
    expect(await engine.claimAttempt(id, "another")).toBe(false);
  });

  test("a cancelled run is asked once; a finished one refuses", async () => {
    const { engine } = await database.open();
    const run = newRun();
    await engine.createRun(run);
    await engine.requestCancel(run.id);
    await engine.requestCancel(run.id);
    const [claimed] = await engine.claimRuns("one", 60);
    expect(claimed).toMatchObject({ cancelRequested: true });
    await engine.moveRun(run.id, 1, { from: ["queued"], to: "succeeded" });
    await expect(engine.requestCancel(randomUUID())).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await engine.claimRuns("one", 60)).toEqual([]);
  });

  test("branches are made once, in order", async () => {
    const { engine } = await database.open();
    const run = newRun();
    await engine.createRun(run);
    const epoch = (await engine.claimRuns("one", 60))[0]?.leaseEpoch ?? 0;
    const items = Array.from({ length: 1200 }, (_, index) => ({ index }));
    await engine.createBranches(run.id, epoch, "train", items);
    await engine.createBranches(run.id, epoch, "train", items);
    const branches = (await engine.steps(run.id)).filter((step) => step.step === "train");
    expect(branches.map((step) => step.branch)).toEqual([-1, ...items.keys()]);
    expect(branches[7]?.item).toEqual({ index: 6 });
    await engine.createBranches(run.id, epoch, "train", [{ index: 1200 }], 1200);
    await engine.createBranches(run.id, epoch, "train", [{ index: "other" }], 1200);
    const grown = (await engine.steps(run.id)).filter((step) => step.step === "train");
    expect(grown).toHaveLength(1202);
    expect(grown.at(-1)).toMatchObject({ branch: 1200, item: { index: 1200 } });
  });
});
