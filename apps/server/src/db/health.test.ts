import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { startPostgres } from "../../../../scripts/servers/postgres.ts";
import { describeOnBoth } from "./testing/databases.ts";
import { newRun, runAttempt } from "./testing/runs.ts";

describeOnBoth("what a doctor looks at", await startPostgres(), (database) => {
  test("is quiet in good health, and names abandoned runs, stray attempts and uploads that never ended", async () => {
    const project = randomUUID();
    const record = await database.open(project);
    await record.engine.createRun(newRun({ id: "FRESH" }));
    const healthy = await record.health.look();
    expect(healthy).toMatchObject({ abandonedRuns: [], strayAttempts: [], oldUploads: 0 });
    expect(healthy.schemaVersion).toBeGreaterThan(0);
    expect(Math.abs(healthy.clockSkewMilliseconds)).toBeLessThan(60_000);

    await record.engine.createRun(newRun({ id: "ENDED" }));
    await runAttempt(record, "ENDED", []);
    const { kysely } = await database.openDatabase(project);
    const longAgo = Date.now() - 3 * 24 * 3600 * 1000;
    await kysely
      .updateTable("pipeline_runs")
      .set({ lease_until: longAgo, created_at: longAgo })
      .where("project_id", "=", project)
      .where("run_id", "=", "FRESH")
      .execute();
    await kysely
      .updateTable("pipeline_runs")
      .set({ state: "succeeded" })
      .where("project_id", "=", project)
      .where("run_id", "=", "ENDED")
      .execute();
    await kysely
      .updateTable("attempts")
      .set({ state: "submitted" })
      .where("project_id", "=", project)
      .where("run_id", "=", "ENDED")
      .execute();
    const upload = { project_id: project, parts: 2, created_by: "somebody", created_at: longAgo };
    await kysely
      .insertInto("file_uploads")
      .values([
        { ...upload, upload_id: "never", path: "a", completed_at: null },
        { ...upload, upload_id: "done", path: "b", completed_at: longAgo },
      ])
      .execute();
    const found = await record.health.look();
    expect(found.abandonedRuns).toEqual([{ runId: "FRESH", since: longAgo }]);
    expect(found.strayAttempts).toMatchObject([{ runId: "ENDED" }]);
    expect(found.oldUploads).toBe(1);
  });
});
