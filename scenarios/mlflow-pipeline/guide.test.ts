import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { createClient } from "@espalier/contract";
import { createPythonEnvironments, parseProject } from "@espalier/host";
import { type StartedControlPlane, startControlPlane } from "@espalier/server";
import { afterAll, beforeAll, expect, test } from "vitest";

/** The snippets of docs/mlflow.md, run as they stand; only the address is the test's. */
const timeout = 240_000;
const guide = readFileSync(resolve(import.meta.dirname, "../../docs/mlflow.md"), "utf8");
const snippets = (language: string): string[] =>
  [...guide.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g"))].map(([, text = ""]) => text);

const folder = mkdtempSync(join(tmpdir(), "espalier-guide-"));
let plane: StartedControlPlane;
let python: string;

beforeAll(async () => {
  const [pipeline = ""] = snippets("yaml");
  const [, script = ""] = snippets("python");
  const project = join(import.meta.dirname, "project");
  for (const name of ["requirements.txt", "requirements.lock.linux-x64.txt"])
    cpSync(join(project, name), join(folder, name));
  writeFileSync(join(folder, "espalier.yaml"), "project: guide\n");
  mkdirSync(join(folder, "pipelines"));
  mkdirSync(join(folder, "src"));
  writeFileSync(join(folder, "pipelines/tracked.yaml"), pipeline);
  writeFileSync(join(folder, "src/train.py"), script);
  plane = await startControlPlane({ projectDirectory: folder, databaseUrl: "" });
  const lock = await createPythonEnvironments().lock(folder, "requirements.txt");
  python = join(await createPythonEnvironments().bin(lock.text), "python");
}, timeout);
afterAll(async () => {
  await plane?.close();
  rmSync(folder, { recursive: true, force: true });
});

const bearer = () => ({ authorization: `Bearer ${plane.token}` });

async function run(script: string, variables: Record<string, string> = {}): Promise<string> {
  const path = join(folder, "script.py");
  writeFileSync(path, script.replaceAll("http://127.0.0.1:7878", plane.url));
  const env = { PATH: process.env["PATH"] ?? "", HOME: folder, ...variables };
  return (await promisify(execFile)(python, [path], { cwd: folder, env })).stdout;
}

test("a process of this machine logs, searches and reads its files", { timeout }, async () => {
  const [script = ""] = snippets("python");
  expect((await run(script)).trim().split("\n").at(-1)).toBe("60 looked at by ana");
});

test("a token serves as bearer and as password", { timeout }, async () => {
  const client = createClient(plane);
  const { token } = await client.call("tokens.create", { body: { name: "notebooks", role: "viewer" } });
  const script = "import mlflow\nprint(len(mlflow.search_experiments()))\nmlflow.create_experiment('not mine')\n";
  const uri = { MLFLOW_TRACKING_URI: plane.url };
  for (const variables of [
    { MLFLOW_TRACKING_TOKEN: token },
    { MLFLOW_TRACKING_USERNAME: "ana", MLFLOW_TRACKING_PASSWORD: token },
  ]) {
    // A viewer may look, and no more: the token was seen.
    await expect(run(script, { ...uri, ...variables })).rejects.toMatchObject({
      stdout: expect.stringMatching(/^\d+\n$/),
      stderr: expect.stringContaining("PERMISSION_DENIED"),
    });
  }
});

test("the pipeline leaves the runs that the table says", { timeout }, async () => {
  const client = createClient(plane);
  const { id } = await client.call("runs.create", { body: { pipeline: "tracked" } });
  for await (const _event of client.events("runs.events", { params: { runId: id } }));
  const detail = await client.call("runs.get", { params: { runId: id } });
  expect(detail.run.error).toBeUndefined();
  const response = await fetch(`${plane.url}/api/2.0/mlflow/runs/search`, {
    method: "POST",
    headers: { "content-type": "application/json", ...bearer() },
    body: JSON.stringify({ experiment_ids: [await experimentOf("tracked")], max_results: 100 }),
  });
  type Found = { info: { run_id: string; run_name: string }; data: { tags: { key: string; value: string }[] } };
  const { runs } = (await response.json()) as { runs: Found[] };
  const tag = (one: Found, key: string) => one.data.tags.find((entry) => entry.key === key)?.value;
  const attempt = runs.find((one) => one.info.run_id === detail.attempts[0]?.id);
  if (attempt === undefined) throw new Error("the attempt has no run");
  expect(tag(attempt, "mlflow.parentRunId")).toBe(id);
  expect(tag(attempt, "espalier.mlflow_experiment")).toBe("whatever it was called before");
  const below = runs.filter((one) => tag(one, "mlflow.parentRunId") === attempt.info.run_id);
  expect(below.map((one) => one.info.run_name).sort()).toEqual(["fold 0", "fold 1", "fold 2"]);
});

test("its espalier.yaml is taken", () => {
  const [, config = ""] = snippets("yaml");
  const { faults, config: read } = parseProject(config);
  expect(faults).toEqual([]);
  expect(read?.control_plane).toMatchObject({ loopback_without_token: false, rate_limit: { burst: 1000 } });
});

async function experimentOf(name: string): Promise<string> {
  const query = new URLSearchParams({ experiment_name: name });
  const response = await fetch(`${plane.url}/api/2.0/mlflow/experiments/get-by-name?${query}`, { headers: bearer() });
  return ((await response.json()) as { experiment: { experiment_id: string } }).experiment.experiment_id;
}
