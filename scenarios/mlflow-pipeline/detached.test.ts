import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { whyNotDetached } from "@espalier/conformance";
import { createClient, type RunDetail } from "@espalier/contract";
import { type StartedControlPlane, startControlPlane } from "@espalier/server";
import { afterAll, describe, expect, test } from "vitest";
import { writeProject } from "../faults/plane.ts";

/** A step of another user, who has HTTP and nothing else: it logs by the control plane's address, or by files that its launcher brings. */
const timeout = 240_000;
const root = mkdtempSync(join(tmpdir(), "espalier-far-"));
const python = join(root, "python/bin/python");
const reason = whyNotDetached() ?? whyNoMlflow();
const planes: StartedControlPlane[] = [];

/** An environment of the other user's own, for this one's lies where nobody else may look. */
function whyNoMlflow(): string | undefined {
  const folder = dirname(dirname(python));
  chmodSync(root, 0o711);
  mkdirSync(folder);
  chownSync(folder, 65_534, 65_534);
  const options = {
    cwd: folder,
    env: { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: folder },
    encoding: "utf8",
  } as const;
  const [program = "", ...asNobody] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
  for (const words of [
    ["python3", "-m", "venv", folder],
    [python, "-m", "pip", "install", "--quiet", "mlflow-skinny==3.17.2"],
  ]) {
    const { status, stderr } = spawnSync(program, [...asNobody, ...words], options);
    if (status !== 0) return `${words.join(" ")}: ${stderr.trim().split("\n").at(-1)}`;
  }
  return undefined;
}

const script = `
import json, os, sys
import mlflow
print("logs to", os.environ["MLFLOW_TRACKING_URI"].split(":")[0], sorted(n for n in os.environ if n.startswith("MLFLOW_")))
mlflow.set_experiment("team/far away")
with mlflow.start_run(run_name="mine"):
    mlflow.log_param("depth", 3)
    mlflow.set_tag("team", "delays")
    for step in range(5):
        mlflow.log_metric("loss", float("nan") if step == 2 else 1 / (1 + step), step=step)
    mlflow.log_text("from far away", "notes/a b.txt")
    with mlflow.start_run(nested=True, run_name="fold"):
        mlflow.log_metric("auc", 0.75)
with mlflow.start_run(run_name="afterwards"):
    mlflow.log_metric("late", 1)
if sys.argv[1] == "1":
    sys.exit(9)
open(os.path.join(os.environ["ESPALIER_OUTPUTS"], "score"), "w").write("1")
`;

const files = (mode: "url" | "files", elsewhere: string): Record<string, string> => ({
  "espalier.yaml": `project: detached
default_stack: far
control_plane: { mlflow: ${mode} }
stacks:
  far:
    compute: { train: { uses: "npm:@own/detached", with: { folder: ${elsewhere} } } }
`,
  "package.json": "{}",
  "pipelines/far.yaml": `name: far
params: { fail: 0 }
steps:
  away:
    run: ${python} work.py \${{ params.fail }}
    source: ./src
    compute: train
    params: [fail]
    outputs: { score: value }
`,
  "src/work.py": script,
  "node_modules/@own/detached/package.json": '{"name":"@own/detached","main":"index.mjs"}',
  "node_modules/@own/detached/index.mjs": `
import { createDetachedRunner } from ${JSON.stringify(import.meta.resolve("@espalier/conformance"))};
import { createProcessRunner } from ${JSON.stringify(import.meta.resolve("@espalier/embedded"))};
import { z } from "zod";
export const tools = [{
  manifest: {
    tool: "detached", provider: "custom", component: "compute", milestone: 5, summary: "another user, HTTP only", capabilities: [],
    skills: [], cost: { money: "none", operations: "none" }, verified: { label: "real", against: "this test", live: "not applicable" },
  },
  config: z.strictObject({ folder: z.string() }),
  create: ({ folder }) => createDetachedRunner({
    inner: createProcessRunner(), folder, launcher: ${JSON.stringify(fileURLToPath(new URL("../../python/launcher.py", import.meta.url)))},
  }),
}];
`,
});

afterAll(async () => {
  for (const plane of planes) await plane.close();
  rmSync(root, { recursive: true, force: true });
});

async function start(mode: "url" | "files"): Promise<StartedControlPlane> {
  const folder = join(root, mode);
  writeProject(folder, files(mode, join(root, `${mode}-elsewhere`)));
  mkdirSync(join(root, `${mode}-elsewhere`));
  chmodSync(folder, 0o700);
  symlinkSync(fileURLToPath(new URL("../../node_modules/zod", import.meta.url)), join(folder, "node_modules", "zod"));
  const plane = await startControlPlane({ projectDirectory: folder, databaseUrl: "" });
  planes.push(plane);
  return plane;
}

async function run(plane: StartedControlPlane, fail: string): Promise<RunDetail & { log: string }> {
  const client = createClient(plane);
  const { id } = await client.call("runs.create", { body: { pipeline: "far", params: { fail } } });
  for await (const _event of client.events("runs.events", { params: { runId: id } }));
  const { text } = await client.call("logs.get", { params: { runId: id, step: "away" } });
  return { ...(await client.call("runs.get", { params: { runId: id } })), log: text };
}

interface Tracked {
  info: { run_id: string; run_name: string; status: string; experiment_id: string };
  data: { metrics?: Entry[]; params?: Entry[]; tags: Entry[] };
}
interface Entry {
  key: string;
  value: string | number;
}
const told = (entries: Entry[] = []): Record<string, string | number> =>
  Object.fromEntries(entries.map(({ key, value }) => [key, value]));

async function get<Answer>(plane: StartedControlPlane, path: string): Promise<Answer> {
  const response = await fetch(`${plane.url}${path}`);
  expect(response.status, path).toBe(200);
  return (await response.json()) as Answer;
}

async function expectTracked(plane: StartedControlPlane, detail: RunDetail, status: string): Promise<void> {
  const attemptId = detail.attempts[0]?.id ?? "";
  const api = "/api/2.0/mlflow";
  const { run: own } = await get<{ run: Tracked }>(plane, `${api}/runs/get?run_id=${attemptId}`);
  expect(own.info).toMatchObject({ status, experiment_id: "1" });
  expect(told(own.data.params)).toEqual({ depth: "3" });
  expect(told(own.data.metrics)).toEqual({ loss: 0.2 });
  expect(told(own.data.tags)).toMatchObject({
    team: "delays",
    "espalier.step": "away",
    "mlflow.parentRunId": detail.run.id,
    "espalier.mlflow_experiment": "team/far away",
  });
  const history = `${api}/metrics/get-history?run_id=${attemptId}&metric_key=loss&max_results=100`;
  const { metrics } = await get<{ metrics: { value: number | string; step: number }[] }>(plane, history);
  expect(metrics.map(({ value }) => value)).toEqual([1, 0.5, "NaN", 0.25, 0.2]);
  const notes = await fetch(`${plane.url}/get-artifact?run_id=${attemptId}&path=notes/a%20b.txt`);
  expect(await notes.text()).toBe("from far away");
  const response = await fetch(`${plane.url}${api}/runs/search`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ experiment_ids: ["1"], filter: `tags.\`mlflow.parentRunId\` = '${attemptId}'` }),
  });
  const { runs } = (await response.json()) as { runs: Tracked[] };
  expect(runs.map(({ info }) => info.run_name).sort()).toEqual(["afterwards", "fold"]);
  expect(runs.every(({ info }) => info.status === "FINISHED")).toBe(true);
}

describe.skipIf(reason !== undefined)(`a detached step${reason === undefined ? "" : ` (skipped: ${reason})`}`, () => {
  test("logs by the address", { timeout }, async () => {
    const plane = await start("url");
    const detail = await run(plane, "0");
    expect(detail.run.error).toBeUndefined();
    expect(detail.log).toContain("logs to http ");
    await expectTracked(plane, detail, "FINISHED");
  });

  test("logs to files that its launcher brings, also when it fails", { timeout }, async () => {
    const plane = await start("files");
    const detail = await run(plane, "0");
    expect(detail.run.error).toBeUndefined();
    expect(detail.log).toContain("logs to file ['MLFLOW_ALLOW_FILE_STORE', 'MLFLOW_TRACKING_URI']");
    await expectTracked(plane, detail, "FINISHED");
    const failed = await run(plane, "1");
    expect(failed.steps[0]?.error?.details).toMatchObject({ exitCode: 9 });
    await expectTracked(plane, failed, "FAILED");
  });
});
