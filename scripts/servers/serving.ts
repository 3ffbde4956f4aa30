import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { columnModel, columnSignature, matrixSignature, treeModel, writeModelFolder } from "@espalier/conformance";
import { withoutMlflowVariables } from "./mlflow-environment.ts";

/** Model servers and a router with the models of scenarios/serving-clients, each a program of its own. */
export interface ServingServers {
  /** What the tests know of them; see support.py. */
  description: Record<string, unknown>;
  stop(): Promise<void>;
}

const root = resolve(import.meta.dirname, "../..");
const entry = join(root, "apps/serving/src/main.ts");

/** `bin`: folder of a Python with the clients and what makes the models. */
export async function startServing(bin: string): Promise<ServingServers> {
  const folder = mkdtempSync(join(tmpdir(), "espalier-test-serving-"));
  const children: ChildProcess[] = [];
  const stop = async (): Promise<void> => {
    // The router first: it would call its servers' end a failure.
    for (const child of children.reverse()) await end(child);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await makeModels(bin, folder);
    const start = (name: string, ...words: string[]): Promise<Ports> => startProgram(children, folder, name, words);
    const server = await start(
      "server",
      ...["model", "--model-dir", join(folder, "repository/prices"), "--name", "prices", "--version", "7"],
    );
    const version = { key: "prices", model: "prices", version: "7", port: server.port, weight: 1 };
    const state = { format: 1, endpoint: "shop", generation: 1, captureRate: 0, versions: [version] };
    writeFileSync(join(folder, "state.json"), JSON.stringify(state));
    const router = await start("router", "router", "--state", join(folder, "state.json"));
    const repository = await start(
      "repository",
      ...["model", "--model-repository", join(folder, "repository"), "--allow-model-control", "--grpc-port", "0"],
    );
    const description = {
      server: place(server.port),
      router: place(router.port),
      repository: place(repository.port),
      repository_grpc: place(repository.grpcPort ?? 0),
      iris_expected: JSON.parse(readFileSync(join(folder, "iris-expected.json"), "utf8")),
    };
    return { description, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

const place = (port: number): string => `127.0.0.1:${port}`;

async function makeModels(bin: string, folder: string): Promise<void> {
  const columns = Array.from({ length: 30 }, (_, index) => `x${index}`);
  const trees = treeModel({ columns: 30, trees: 200, depth: 6, seed: 1 });
  await writeModelFolder(join(folder, "repository/tree"), trees, matrixSignature(columns));
  await writeModelFolder(join(folder, "repository/prices"), columnModel(), columnSignature);
  const made = spawnSync(join(bin, "python"), [join(root, "scenarios/serving-clients/make_models.py"), folder], {
    env: { ...withoutMlflowVariables(), MLFLOW_DISABLE_TELEMETRY: "true", GIT_PYTHON_REFRESH: "quiet" },
    encoding: "utf8",
  });
  if (made.status !== 0) throw new Error(`The models could not be made: ${made.stderr}`);
}

interface Ports {
  port: number;
  grpcPort?: number;
}

async function startProgram(
  children: ChildProcess[],
  folder: string,
  name: string,
  words: readonly string[],
): Promise<Ports> {
  const file = join(folder, `${name}.json`);
  const child = spawn(process.execPath, [entry, ...words, "--announce", file], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  children.push(child);
  while (!existsSync(file)) {
    if (child.exitCode !== null) throw new Error(`The ${name} ended with ${child.exitCode} before it was ready`);
    await pause(20);
  }
  const announced = JSON.parse(readFileSync(file, "utf8")) as Ports & { error?: { message: string } };
  if (announced.error !== undefined) throw new Error(`The ${name} did not start: ${announced.error.message}`);
  return announced;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  await once(child, "exit");
}
