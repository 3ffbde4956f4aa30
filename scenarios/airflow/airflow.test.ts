import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createClient } from "@espalier/contract";
import { type StartedControlPlane, startControlPlane } from "@espalier/server";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { freePort } from "../../scripts/servers/free-port.ts";
import { writeProject } from "../faults/plane.ts";
import { type AirflowClient, connectAirflow } from "./airflow-client.ts";

const url = process.env.ESPALIER_TEST_AIRFLOW_URL;
const reason = url === undefined ? " (skipped: needs a server; `npm run test:servers -- airflow` starts one)" : "";
const cli = fileURLToPath(new URL("../../apps/cli/src/main.ts", import.meta.url));
let folder = "";
let dags = "";
let port = 0;
let plane: StartedControlPlane | undefined;
let airflow: AirflowClient;

const pipeline = `name: train
params: { day: none, rows: 3, note: "a \\"quoted\\" note", careful: true, gate: / }
schedule: { cron: "0 3 * * 1", timezone: Europe/Madrid, params: { day: "\${{ run.date }}" } }
steps:
  ingest: { run: "seq \${{ params.rows }} >\${{ outputs.rows }}; echo took \${{ params.day }}", outputs: { rows: file } }
  many:
    run: "echo \${{ params.item }}"
    map: { over: "[1, 2]", as: item }
  never: { run: "exit 1", when: "params.rows > 100" }
  after_never: { run: "exit 1", needs: [never] }
  always:
    run: "echo once more; wc -l <\${{ inputs.rows }} >\${{ outputs.count }}; date +%s%N >>\${{ outputs.count }}"
    cache: false
    inputs: { rows: ingest.rows }
    outputs: { count: file }
  import:
    run: "echo \${{ params.note }}; test -e \${{ params.gate }} && cat \${{ inputs.count }} >\${{ outputs.all }}"
    inputs: { count: always.count }
    outputs: { all: file }
`;

beforeAll(async () => {
  if (url === undefined) return;
  dags = process.env.ESPALIER_TEST_AIRFLOW_DAGS ?? "";
  folder = mkdtempSync(join(tmpdir(), "espalier-airflow-project-"));
  writeProject(folder, {
    "espalier.yaml": "project: flights\nstacks: { laptop: {} }\n",
    "pipelines/train.yaml": pipeline,
  });
  port = await freePort();
  plane = await startControlPlane({ projectDirectory: folder, databaseUrl: "", port });
  airflow = await connectAirflow(url);
  // One that outlives the control plane, which is restarted.
  const { token } = await client().call("tokens.create", { body: { name: "airflow", role: "editor" } });
  await airflow.post("/connections", {
    ...{ connection_id: "espalier_default", conn_type: "generic", host: "127.0.0.1", port },
    password: token,
  });
  const exported = spawnSync(
    process.execPath,
    [cli, "export", "airflow", "train", "--project", folder, "--out", dags],
    {
      encoding: "utf8",
    },
  );
  expect(exported.stderr).toBe("");
  expect(exported.stdout).toContain("many: Branches and trials are no tasks of their own");
});
afterAll(async () => {
  await plane?.close();
  if (folder !== "") rmSync(folder, { recursive: true, force: true });
});

function client() {
  if (plane === undefined) throw new Error("not started");
  return createClient({ url: plane.url, token: plane.token });
}

async function isThere(dag: string): Promise<void> {
  await vi.waitFor(() => airflow.get(`/dags/${dag}`), { timeout: 60_000, interval: 500 });
  await airflow.patch(`/dags/${dag}`, { is_paused: false });
}

async function trigger(dag: string, logicalDate: string | null, conf: object = {}): Promise<string> {
  const { dag_run_id: run } = await airflow.post(`/dags/${dag}/dagRuns`, { logical_date: logicalDate, conf });
  return run;
}

const clear = (dag: string, run: string, onlyFailed: boolean): Promise<unknown> =>
  airflow.post(`/dags/${dag}/clearTaskInstances`, {
    ...{ dry_run: false, dag_run_id: run, only_failed: onlyFailed, reset_dag_runs: true },
  });

describe.skipIf(url === undefined)(`Airflow${reason}`, () => {
  test("runs the exported DAG as one run of Espalier, step by step, and again as the same run", async () => {
    await isThere("flights.train");
    const { timetable_description: timetable, max_active_runs: atOnce } =
      await airflow.get("/dags/flights.train/details");
    expect([timetable, atOnce]).toEqual([expect.stringContaining("03:00"), 1]);
    const run = await trigger("flights.train", "2001-03-05T02:00:00Z");
    const first = await airflow.ended("flights.train", run);
    expect(first).toEqual({
      state: "success",
      tasks: {
        ...{ ingest: "success", many: "success", always: "success", import: "success" },
        ...{ never: "skipped", after_never: "skipped", "run-outcome": "success" },
      },
    });
    const { items } = await client().call("runs.list", { query: {} });
    expect(items).toMatchObject([{ state: "succeeded", logicalDate: "2001-03-05T02:00:00.000Z", params: { rows: 3 } }]);
    expect(items[0]?.params).toMatchObject({ note: 'a "quoted" note', careful: true, day: "2001-03-05" });
    await clear("flights.train", run, false);
    expect(await airflow.ended("flights.train", run)).toEqual(first);
    expect((await client().call("runs.list", { query: {} })).items).toHaveLength(1);
  });

  test("a task that is cleared resumes the run: what was done is not done again, also without a cache", async () => {
    const gate = join(folder, "gate");
    const run = await trigger("flights.train", "2001-03-12T02:00:00Z", { gate });
    const failed = await airflow.ended("flights.train", run);
    expect(failed).toMatchObject({ state: "failed", tasks: { always: "success", import: "failed" } });
    const runsOf = async () =>
      (await client().call("runs.list", { query: {} })).items.filter((one) => one.params["gate"] === gate);
    const [first] = await runsOf();
    expect(first?.state).toBe("failed");
    writeFileSync(gate, "");
    await clear("flights.train", run, true);
    expect(await airflow.ended("flights.train", run)).toMatchObject({ state: "success" });
    const [resumed, ...others] = (await runsOf()).filter(({ id }) => id !== first?.id);
    expect(others).toEqual([]);
    expect(resumed).toMatchObject({ state: "succeeded", options: { resumes: first?.id } });
    const { steps } = await client().call("runs.get", { params: { runId: resumed?.id ?? "" } });
    expect(steps.find(({ step }) => step === "always")).toMatchObject({
      state: "cached",
      reason: `finished in run ${first?.id}`,
    });
  });

  test("a DAG of one's own calls the operator: one run a date, through a restart of the control plane", async () => {
    const gate = join(folder, "slow-gate");
    writeFileSync(
      join(dags, "own.py"),
      `from airflow.sdk import DAG
from espalier_airflow import EspalierRunOperator

with DAG(dag_id="own", schedule=None):
    EspalierRunOperator(task_id="slow", pipeline="slow", run_params={"gate": ${JSON.stringify(gate)}, "day": "<run.date>"})
    EspalierRunOperator(task_id="no_such", pipeline="nowhere", retries=3)
`,
    );
    writeFileSync(
      join(folder, "pipelines/slow.yaml"),
      `name: slow
params: { gate: /, day: none }
steps: { wait: { run: "echo waiting; while [ ! -e \${{ params.gate }} ]; do sleep 0.2; done; echo \${{ params.day }}" } }
`,
    );
    await isThere("own");
    const run = await trigger("own", "2001-03-05T00:00:00Z");
    const running = async () => (await client().call("runs.list", { query: { pipeline: "slow" } })).items;
    await vi.waitFor(async () => expect((await running())[0]?.state).toBe("running"), {
      timeout: 60_000,
      interval: 200,
    });
    await plane?.close();
    plane = undefined;
    plane = await startControlPlane({ projectDirectory: folder, databaseUrl: "", port });
    writeFileSync(gate, "");
    const { state, tasks } = await airflow.ended("own", run);
    expect({ state, tasks }).toEqual({ state: "failed", tasks: { slow: "success", no_such: "failed" } });
    expect(await running()).toMatchObject([{ state: "succeeded", params: { day: "2001-03-05" } }]);
    // What is refused is not tried again.
    const place = `/dags/own/dagRuns/${encodeURIComponent(run)}/taskInstances/no_such`;
    expect((await airflow.get(place)).try_number).toBe(1);
    const { content } = await airflow.get(`${place}/logs/1`);
    expect(JSON.stringify(content)).toContain("NOT_FOUND");
    await clear("own", run, false);
    await airflow.ended("own", run);
    expect(await running()).toHaveLength(1);
    // A DAG run without a date is a run of its own.
    await airflow.ended("own", await trigger("own", null));
    expect(await running()).toHaveLength(2);
  });
});
