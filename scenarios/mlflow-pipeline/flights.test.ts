import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Client, createClient, type RunDetail } from "@espalier/contract";
import { createPythonEnvironments } from "@espalier/host";
import { type StartedControlPlane, startControlPlane } from "@espalier/server";
import { afterAll, beforeAll, expect, test } from "vitest";

/** The training step of the flights example as it is, on rows that are made in a moment. */
const timeout = 240_000;
const example = resolve(import.meta.dirname, "../../examples/flights-delay");
const folder = mkdtempSync(join(tmpdir(), "espalier-flights-tracked-"));
let plane: StartedControlPlane;
let client: Client;

const rows = `
CREATE TABLE train AS
  SELECT (i % 24)::FLOAT AS hour, (i % 7)::FLOAT AS weekday, (i % 2000)::FLOAT AS distance,
    ((i * 7) % 100 / 100.0)::FLOAT AS origin_rate, ((i * 11) % 100 / 100.0)::FLOAT AS destination_rate,
    ((i * 13) % 100 / 100.0)::FLOAT AS hour_rate, ((i * 17) % 100 / 100.0)::FLOAT AS weekday_rate,
    ((i * 7) % 100 + (i * 31) % 60 > 100)::INTEGER AS late
  FROM range(20000) AS one(i)
  ORDER BY i;
`;
const pipeline = `name: flights
params: { learning_rate: 0.1, trees: 12 }
steps:
  features:
    uses: sql
    inputs: { script: ./rows.sql }
    outputs: { train: parquet }
  train:
    run: python train.py --data \${{ inputs.train }} --learning-rate \${{ params.learning_rate }} --trees \${{ params.trees }} --out \${{ outputs.model }}
    source: ./src
    environment: { python: ./requirements.txt }
    inputs: { train: features.train }
    outputs: { model: { type: model, determinism: exact } }
`;

beforeAll(async () => {
  cpSync(join(example, "src"), join(folder, "src"), { recursive: true });
  for (const name of ["requirements.txt", "requirements.lock.linux-x64.txt"])
    cpSync(join(example, name), join(folder, name));
  mkdirSync(join(folder, "pipelines"));
  writeFileSync(join(folder, "espalier.yaml"), "project: flights\n");
  writeFileSync(join(folder, "rows.sql"), rows);
  writeFileSync(join(folder, "pipelines/flights.yaml"), pipeline);
  plane = await startControlPlane({ projectDirectory: folder, databaseUrl: "" });
  client = createClient(plane);
});
afterAll(async () => {
  await plane?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function run(): Promise<RunDetail> {
  const { id } = await client.call("runs.create", { body: { pipeline: "flights", options: { force: true } } });
  for await (const _event of client.events("runs.events", { params: { runId: id } }));
  return client.call("runs.get", { params: { runId: id } });
}

test("what it logs by MLflow is on record, and its model is the same to the last byte", { timeout }, async () => {
  const [first, second] = [await run(), await run()];
  for (const detail of [first, second]) {
    expect(detail.run.error).toBeUndefined();
    const attempt = detail.attempts.find(({ step }) => step === "train");
    const response = await fetch(`${plane.url}/api/2.0/mlflow/runs/get?run_id=${attempt?.id}`);
    const { run: tracked } = (await response.json()) as {
      run: { info: { status: string }; data: { params: { key: string; value: string }[]; metrics: { key: string }[] } };
    };
    expect(tracked.info.status).toBe("FINISHED");
    expect(Object.fromEntries(tracked.data.params.map(({ key, value }) => [key, value]))).toEqual({
      learning_rate: "0.1",
      trees: "12",
      rows: "20000",
    });
    const metrics = await client.call("runs.metrics", { params: { runId: detail.run.id } });
    const keys = metrics.items.filter(({ stepName }) => stepName === "train").map(({ key }) => key);
    expect(keys.sort()).toEqual(["fit.seconds", "train.auc", "train.log_loss"]);
  }
  const digest = ({ steps }: RunDetail) => steps.find(({ step }) => step === "train")?.outputs?.["model"]?.digest;
  expect(digest(first)).toMatch(/^sha256:/);
  expect(digest(second)).toBe(digest(first));
});

test("without MLflow it says what is missing", { timeout }, async () => {
  const bin = await createPythonEnvironments().bin(
    readFileSync(join(folder, "requirements.lock.linux-x64.txt"), "utf8"),
  );
  const without =
    "import runpy, sys; sys.modules['mlflow'] = None; runpy.run_path('src/train.py', run_name='__main__')";
  const { status, stderr } = spawnSync(join(bin, "python"), ["-c", without], { cwd: folder, encoding: "utf8" });
  expect(status).toBe(1);
  expect(stderr).toBe(
    "train.py logs its parameters and metrics by MLflow, and this Python has none: pip install mlflow-skinny\n",
  );
});
