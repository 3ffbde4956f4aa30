import { expect, test } from "vitest";
import { startPostgres } from "../../../../scripts/servers/postgres.ts";
import { describeOnBoth } from "./testing/databases.ts";
import { newRun } from "./testing/runs.ts";

describeOnBoth("marks of what changed", await startPostgres(), (database) => {
  test("differ in the topic that changed, and are the same otherwise", async () => {
    const record = await database.open();
    const before = await record.changes.marks();
    expect(await record.changes.marks()).toEqual(before);
    await record.engine.createRun(newRun());
    const after = await record.changes.marks();
    expect(after.runs).not.toBe(before.runs);
    expect({ ...after, runs: "" }).toEqual({ ...before, runs: "" });
  });
});
