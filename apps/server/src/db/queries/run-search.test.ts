import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { startPostgres } from "../../../../../scripts/servers/postgres.ts";
import { readRunSearch } from "../../runs/read-run-search.ts";
import { describeOnBoth } from "../testing/databases.ts";
import { newRun } from "../testing/runs.ts";

describeOnBoth("a search of runs", await startPostgres(), (database) => {
  async function searched() {
    const record = await database.open();
    const make = async (id: string, params: Record<string, string | number | boolean>, auc?: number): Promise<void> => {
      const run = { ...newRun(), id, params };
      await record.engine.createRun(run);
      const epoch = (await record.engine.claimRuns("one", 60)).find((one) => one.id === id)?.leaseEpoch ?? 0;
      const step = { runId: id, step: "train", branch: -1 };
      await record.engine.moveRun(id, epoch, { from: ["queued"], to: "running" });
      await record.engine.moveStep(step, epoch, { from: ["pending"], to: "running" });
      const attempt = { id: randomUUID(), ...step, number: 1, tool: "embedded/process" };
      await record.engine.createAttempt(epoch, attempt);
      if (auc !== undefined)
        await record.runMetrics.log(attempt.id, [{ key: "auc", value: auc, step: 1, timestamp: 1 }]);
    };
    await make("a", { depth: 4, rate: 1e-5, deep: true, kind: "it's" }, 0.8);
    await make("b", { depth: 6, kind: "tree" }, 0.95);
    await make("c", {});
    return async (text: string) =>
      (await record.runs.list({ search: readRunSearch(text) }, {})).items.map(({ id }) => id).sort();
  }

  test("metrics, parameters as they are written, and attributes", async () => {
    const find = await searched();
    expect(await find("metrics.auc > 0.9")).toEqual(["b"]);
    expect(await find("metrics.auc <= 0.95 AND params.depth = '4'")).toEqual(["a"]);
    expect(await find("params.rate = '0.00001' OR params.rate = '1'").catch((error: Error) => error.message)).toContain(
      "OR",
    );
    expect(await find("params.deep = 'true'")).toEqual(["a"]);
    expect(await find("params.kind LIKE 'it%'")).toEqual(["a"]);
    expect(await find("params.depth IS NULL")).toEqual(["c"]);
    expect(await find("params.depth IS NOT NULL")).toEqual(["a", "b"]);
    expect(await find("state = 'running' AND run_id IN ('a', 'c')")).toEqual(["a", "c"]);
    expect(await find("status = 'RUNNING'")).toEqual(["a", "b", "c"]);
    expect(await find("pipeline != 'nothing' AND stack ILIKE '%'")).toEqual(["a", "b", "c"]);
    expect(await find("")).toEqual(["a", "b", "c"]);
  });

  test("what is no filter is refused with its place and a way on", () => {
    for (const text of ["auc >", "metrics.auc > 'x'", "nothing.a = '1'", "params.depth > 4"]) {
      expect(() => readRunSearch(text)).toThrow(
        expect.objectContaining({ code: "INVALID_INPUT", at: "search", hint: expect.stringContaining("AND") }),
      );
    }
  });
});
