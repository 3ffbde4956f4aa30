import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createClient } from "@espalier/contract";
import { createPythonEnvironments } from "@espalier/host";
import { startControlPlane } from "@espalier/server";

/**
 * `npm run test:fuzz`: Schemathesis, a fuzzer of others, reads our OpenAPI document and sends what it makes up to a control plane of its
 * own: no answer may be a fault of ours, or other than the document says. Arguments go to it (`--seed 7`, `--max-examples 100`). The
 * property tests of MLflow's routes are Vitest's: apps/server/src/mlflow/fuzz.test.ts.
 */
const examples = 15;
const root = resolve(import.meta.dirname, "..");

const files = {
  "espalier.yaml": "project: fuzzed\n",
  "pipelines/small.yaml": `name: small
params: { word: hello }
steps:
  ingest: { uses: dataset, inputs: { file: ./a.csv }, with: { name: rows } }
  say: { run: "echo \${{ params.word }} | tee \${{ outputs.said }}", inputs: { rows: ingest.dataset }, outputs: { said: file } }
`,
  "a.csv": "x\n1\n2\n",
};

async function program(): Promise<string> {
  const environments = createPythonEnvironments(join(root, "node_modules/.cache/espalier-fuzz"));
  const lock = await environments.lock(join(import.meta.dirname, "servers/environments"), "schemathesis-4.32.5.txt");
  return join(await environments.bin(lock.text), "schemathesis");
}

const folder = mkdtempSync(join(tmpdir(), "espalier-fuzz-"));
for (const [path, text] of Object.entries(files)) {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}
const schemathesis = await program();
const plane = await startControlPlane({ projectDirectory: folder, databaseUrl: "", role: "up", port: 0 });
let code = 1;
try {
  const client = createClient(plane);
  // Something to find.
  const { id } = await client.call("runs.create", { body: { pipeline: "small" } });
  for await (const _event of client.events("runs.events", { params: { runId: id } }));
  const authorization = `Bearer ${plane.token}`;
  const document = await fetch(`${plane.url}/api/v1/openapi.json`, { headers: { authorization } });
  const path = join(folder, "openapi.json");
  writeFileSync(path, await document.text());
  const checks =
    "not_a_server_error,content_type_conformance,response_schema_conformance,status_code_conformance,ignored_auth";
  const words = ["run", path, "--url", plane.url, "--header", `Authorization: ${authorization}`, "--checks", checks];
  const bounds = [
    "--max-examples",
    String(examples),
    "--phases",
    "examples,coverage,fuzzing",
    "--request-timeout",
    "20",
  ];
  const child = spawn(schemathesis, [...words, ...bounds, ...process.argv.slice(2)], { cwd: folder, stdio: "inherit" });
  [code] = (await once(child, "exit")) as [number];
  const health = await fetch(`${plane.url}/health`);
  if (!health.ok) throw new Error(`The control plane is not well afterwards: ${health.status}`);
} finally {
  await plane.close();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(code);
