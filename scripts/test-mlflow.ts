import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { entryPoint } from "@espalier/host";
import { pytest, type Sum } from "./pytest.ts";
import { startMlflowServer } from "./servers/mlflow.ts";
import { mlflowPrograms, mlflowVersions, withoutMlflowVariables } from "./servers/mlflow-environment.ts";
import { startPostgres } from "./servers/postgres.ts";

/**
 * `npm run test:mlflow`: the suite of scenarios/mlflow, each version of MLflow's client against a control plane of its own.
 * `-- --client 3.17.2` only that client, `--postgres` on PostgreSQL, `--stock` against MLflow's own server, which proves that the suite
 * describes MLflow and not us. What comes after `--` goes to pytest. The last line is the sum.
 */
const { values: options, positionals } = parseArgs({
  args: process.argv.slice(2),
  options: {
    client: { type: "string" },
    postgres: { type: "boolean", default: false },
    stock: { type: "boolean", default: false },
  },
  allowPositionals: true,
});
const root = resolve(import.meta.dirname, "..");
const suite = join(root, "scenarios/mlflow/suite");

interface Server {
  url: string;
  /** What the tests know of it; see support.py. */
  description: Record<string, unknown>;
  stop(): Promise<void>;
}

async function startStock(): Promise<Server | { skipped: string }> {
  const backend = options.postgres ? "postgres" : "sqlite";
  // Newer clients do not work with an older server; the other way round they do.
  const server = await startMlflowServer({ version: mlflowVersions[0], backend, workers: 1 });
  return "skipped" in server ? server : { url: server.url, description: { server: "stock" }, stop: server.stop };
}

async function startEspalier(bin: string): Promise<Server | { skipped: string }> {
  const postgres = options.postgres ? await startPostgres() : undefined;
  if (postgres !== undefined && "skipped" in postgres) return postgres;
  const project = mkdtempSync(join(tmpdir(), "espalier-test-mlflow-"));
  cpSync(join(root, "scenarios/mlflow/project"), project, { recursive: true });
  const pipeline = join(project, "pipelines/train.yaml");
  writeFileSync(pipeline, readFileSync(pipeline, "utf8").replace("run: SUITE_PYTHON", `run: ${join(bin, "python")}`));
  const cli = [process.execPath, entryPoint("cli")];
  const environment = { ...withoutMlflowVariables(), DATABASE_URL: postgres?.url ?? "" };
  const plane = spawn(process.execPath, [entryPoint("cli"), "up", "--json", "--port", "0", "--project", project], {
    env: environment,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const stop = async (): Promise<void> => {
    await end(plane);
    await postgres?.stop();
    rmSync(project, { recursive: true, force: true });
  };
  const announced = await firstDocument(plane);
  if (announced === undefined) {
    await stop();
    throw new Error("The control plane did not start");
  }
  const token = (role: string): string => {
    const words = ["token", "create", `suite-${role}`, "--role", role, "--project", project];
    const made = spawnSync(process.execPath, [entryPoint("cli"), ...words], { env: environment, encoding: "utf8" });
    if (made.status !== 0) throw new Error(`No token of ${role}: ${made.stderr}`);
    return made.stdout.trim();
  };
  const { url } = announced;
  const tokens = { token: token("editor"), viewer_token: token("viewer") };
  return { url, description: { server: "espalier", url, project, cli, ...tokens }, stop };
}

/** The JSON that `up` prints when it is ready; undefined when it ends without. */
async function firstDocument(child: ChildProcess): Promise<{ url: string } | undefined> {
  let text = "";
  if (child.stdout === null) return undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    text += line;
    try {
      return JSON.parse(text) as { url: string };
    } catch {
      // It goes on in the next line.
    }
  }
  return undefined;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  await once(child, "exit");
}

function runSuite(bin: string, server: Server): Promise<Sum> {
  const variables = {
    ...withoutMlflowVariables(),
    MLFLOW_TRACKING_URI: server.url,
    ESPALIER_SUITE: JSON.stringify(server.description),
    MLFLOW_DISABLE_TELEMETRY: "true",
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR: "false",
    // A failure is a failure at once; the test about the usual retries asks for them.
    MLFLOW_HTTP_REQUEST_MAX_RETRIES: "1",
    GIT_PYTHON_REFRESH: "quiet",
  };
  return pytest({ bin, folder: suite, variables, words: positionals });
}

const versions = mlflowVersions.filter((version) => (options.client ?? version) === version);
if (versions.length === 0) {
  console.error(`There is no client ${options.client}; there are: ${mlflowVersions.join(", ")}`);
  process.exit(2);
}
const sum: Sum = { passed: 0, failed: 0, skipped: 0 };
for (const version of versions) {
  const programs = await mlflowPrograms(version);
  const server = "skipped" in programs ? programs : await (options.stock ? startStock() : startEspalier(programs.bin));
  if ("skipped" in programs || "skipped" in server) {
    console.log(`skipped: MLflow ${version}: ${"skipped" in server ? server.skipped : ""}`);
    sum.skipped += 1;
    continue;
  }
  try {
    console.log(
      `== MLflow ${version} against ${options.stock ? `MLflow's own server ${mlflowVersions[0]}` : "Espalier"}`,
    );
    const one = await runSuite(programs.bin, server);
    for (const name of ["passed", "failed", "skipped"] as const) sum[name] += one[name];
  } finally {
    await server.stop();
  }
}
console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
process.exit(sum.failed === 0 && sum.passed > 0 ? 0 : 1);
