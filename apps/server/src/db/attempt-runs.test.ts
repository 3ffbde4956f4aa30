import { randomUUID } from "node:crypto";
import type { AttemptState } from "@espalier/core";
import { expect, test } from "vitest";
import { startPostgres } from "../../../../scripts/servers/postgres.ts";
import { describeOnBoth } from "./testing/databases.ts";
import { newRun } from "./testing/runs.ts";

describeOnBoth("the tracking runs of attempts", await startPostgres(), (database) => {
  async function begin() {
    const record = await database.open();
    const run = newRun();
    await record.engine.createRun(run);
    const epoch = (await record.engine.claimRuns("one", 60)).find(({ id }) => id === run.id)?.leaseEpoch ?? 0;
    const step = { runId: run.id, step: "train", branch: -1 };
    const attempt = { id: randomUUID(), ...step, number: 1, tool: "embedded/process" };
    await record.engine.moveRun(run.id, epoch, { from: ["queued"], to: "running" });
    await record.engine.moveStep(step, epoch, { from: ["pending"], to: "running" });
    await record.engine.createAttempt(epoch, attempt);
    await record.engine.moveAttempt(attempt.id, epoch, { from: ["created"], to: "submitted" }, { handle: "1" });
    const move = (to: AttemptState) =>
      record.engine.moveAttempt(attempt.id, epoch, { from: ["submitted", "collecting"], to });
    return { record, run, epoch, attempt, move };
  }

  test.each([
    ["failed", "FAILED"],
    ["lost", "FAILED"],
    ["cancelled", "KILLED"],
  ] as const)("an attempt that is %s ends the runs that its script left open", async (state, status) => {
    const { record, run, attempt, move } = await begin();
    const { runs } = record.tracking;
    const experimentId = (await record.tracking.experimentOfRun(run.id)) ?? "";
    const create = async (id: string, parentRunId: string | undefined): Promise<string> => {
      const made = { id, experimentId, parentRunId, name: id, userId: "ana", startTime: undefined, tags: [] };
      expect((await runs.create(made)).kind).toBe("created");
      return id;
    };
    const child = await create(randomUUID(), attempt.id);
    const deep = await create(randomUUID(), child);
    const done = await create(randomUUID(), attempt.id);
    await runs.update(done, { status: "FINISHED", endTime: 7 });
    const other = await create(randomUUID(), undefined);
    await move(state);
    const told = async (id: string) => {
      const info = await runs.info(id);
      return [info?.status, info?.endTime !== undefined];
    };
    expect(await told(attempt.id)).toEqual([status, true]);
    expect(await told(child)).toEqual([status, true]);
    expect(await told(deep)).toEqual([status, true]);
    expect(await runs.info(done)).toMatchObject({ status: "FINISHED", endTime: 7 });
    expect(await told(other)).toEqual(["RUNNING", false]);
    expect(await told(run.id)).toEqual(["RUNNING", false]);
  });

  test("a token is good for exactly as long as its attempt lives", async () => {
    const { record, attempt, move } = await begin();
    const scope = { kind: "attempt", id: attempt.id } as const;
    const { token } = await record.tokens.create({ name: "run", role: "viewer", scope, createdBy: "engine" });
    const another = await record.tokens.create({
      name: "run",
      role: "viewer",
      scope: { kind: "attempt", id: randomUUID() },
      createdBy: "engine",
    });
    await move("collecting");
    expect(await record.tokens.verify(token)).toMatchObject({ scope });
    await move("succeeded");
    expect(await record.tokens.verify(token)).toBeUndefined();
    expect(await record.tokens.verify(another.token)).toBeDefined();
  });

  test("the pipeline's run names the attempts that cached steps stand for, of a map the first hundred", async () => {
    const { record, run, epoch } = await begin();
    const step = { runId: run.id, step: "check", branch: -1 };
    const items = Array.from({ length: 102 }, (_, index) => index);
    await record.engine.createBranches(run.id, epoch, "check", items);
    for (const branch of [-1, 0, 99, 100]) {
      const place = { ...step, branch };
      await record.engine.moveStep(
        place,
        epoch,
        { from: ["pending"], to: "cached" },
        { cachedFrom: `attempt ${branch}` },
      );
    }
    const tags = (await record.tracking.runs.get(run.id))?.tags.filter(({ key }) => key.startsWith("espalier.cached."));
    expect(tags?.sort((a, b) => (a.key < b.key ? -1 : 1))).toEqual([
      { key: "espalier.cached.check", value: "attempt -1" },
      { key: "espalier.cached.check[0]", value: "attempt 0" },
      { key: "espalier.cached.check[99]", value: "attempt 99" },
    ]);
  });
});
