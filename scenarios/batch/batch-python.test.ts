import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient, type RunDetail } from "@espalier/contract";
import { openDuckDb } from "@espalier/embedded";
import { createPythonEnvironments } from "@espalier/host";
import { type StartedControlPlane, startControlPlane } from "@espalier/server";
import { afterAll, beforeAll, expect, test } from "vitest";

/** A model that only Python can run is evaluated, judged and predicts in batch, in the environment that it was logged with. */
const folder = mkdtempSync(join(tmpdir(), "espalier-batch-python-"));
const timeout = 600_000;
let plane: StartedControlPlane;
const missing = await createPythonEnvironments()
  .lock(join(import.meta.dirname, "python-project"), "requirements.txt")
  .then(
    () => undefined,
    (error: unknown) => `its packages can not be had: ${error instanceof Error ? error.message : error}`,
  );

beforeAll(async () => {
  cpSync(join(import.meta.dirname, "python-project"), folder, { recursive: true });
  plane = await startControlPlane({ projectDirectory: folder, databaseUrl: "" });
});
afterAll(async () => {
  await plane?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function run(): Promise<RunDetail> {
  const client = createClient({ url: plane.url, token: plane.token });
  const { id } = await client.call("runs.create", { body: { pipeline: "fares" } });
  for await (const _event of client.events("runs.events", { params: { runId: id } }));
  return client.call("runs.get", { params: { runId: id } });
}

interface Evaluation {
  metrics: { rmse: number };
  importance: { metric: string; columns: { column: string; loss: number; deviation: number }[] };
}

test.skipIf(missing !== undefined)(
  `a scikit-learn model is evaluated, let through and predicts${missing === undefined ? "" : ` (skipped: ${missing})`}`,
  { timeout },
  async () => {
    const { run: ended, steps } = await run();
    expect(steps.map(({ step, state, error }) => [step, state, error])).toEqual([
      ["train", "succeeded", undefined],
      ["evaluate", "succeeded", undefined],
      ["gate", "succeeded", undefined],
      ["score", "succeeded", undefined],
    ]);
    expect(ended.state).toBe("succeeded");
    const evaluation = steps[1]?.values?.["report"] as unknown as Evaluation;
    expect(evaluation.metrics.rmse).toBeLessThan(1e-6);
    expect(evaluation.importance.columns.map(({ column }) => column)).toEqual(["distance", "city", "noise"]);
    expect(evaluation.importance.columns[2]?.loss).toBeLessThan(1e-6);
    expect(steps[3]?.values).toMatchObject({ report: { rows: 3000, predicted: 3000, rejected: 0 } });
    const predictions = steps[3]?.outputs?.["predictions"];
    const client = createClient({ url: plane.url, token: plane.token });
    const bytes = await client.bytes("artifacts.download", {
      params: { digest: predictions?.digest ?? "" },
      query: { type: "tree", path: "part-00000.parquet" },
    });
    const path = join(folder, "predictions.parquet");
    writeFileSync(path, Buffer.from(await new Response(bytes).arrayBuffer()));
    const database = await openDuckDb({ threads: 1 });
    const found = await database.rows(
      `SELECT count(*) AS n, max(abs(score - fare)) < 1e-9 AS exact, bool_and(prediction_id = ride::VARCHAR) AS named FROM '${path}'`,
    );
    await database.close();
    expect(found).toEqual([{ n: 3000, exact: true, named: true }]);
  },
);
