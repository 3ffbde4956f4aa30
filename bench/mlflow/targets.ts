import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { entryPoint } from "@espalier/host";
import { freePort } from "../../scripts/servers/free-port.ts";
import { startMlflowServer } from "../../scripts/servers/mlflow.ts";
import { mlflowVersions, withoutMlflowVariables } from "../../scripts/servers/mlflow-environment.ts";
import type { System } from "./results.ts";

/** A server that is measured. */
export interface Target {
  system: System;
  url: string;
  pid: number;
  /** Seconds from the start of its process to its first answer, on a database that is there already. */
  readySeconds: number;
  /** For what must be written past the server: as SQLAlchemy has it, MLflow's own only. */
  databaseUrl?: string;
  stop(): Promise<void>;
}

export interface TargetOptions {
  folder: string;
  /** PostgreSQL; SQLite when it is left out. */
  databaseUrl?: string;
  /** Processes of MLflow's server; its default when it is left out. */
  workers?: number;
}

/** MLflow's server as it is started by default: as many workers as it takes by itself, artifacts by proxy. */
export async function startStock(options: TargetOptions): Promise<Target> {
  const server = await startMlflowServer({
    version: mlflowVersions[0],
    backend: options.databaseUrl === undefined ? "sqlite" : "postgres",
    startSeconds: 600,
    ...options,
  });
  if ("skipped" in server) throw new Error(server.skipped);
  return { system: "MLflow", ...server };
}

export async function startEspalier(options: TargetOptions): Promise<Target> {
  mkdirSync(options.folder, { recursive: true });
  writeFileSync(join(options.folder, "espalier.yaml"), "project: bench\n");
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const started = performance.now();
  const child = spawn(
    process.execPath,
    [entryPoint("cli"), "up", "--port", String(port), "--project", options.folder],
    {
      env: { ...withoutMlflowVariables(), DATABASE_URL: options.databaseUrl ?? "" },
      stdio: ["ignore", "ignore", "inherit"],
    },
  );
  const stop = (): Promise<void> => end(child);
  if (!(await answers(url, child))) {
    await stop();
    throw new Error("espalier up did not start");
  }
  return { system: "Espalier", url, pid: child.pid ?? 0, readySeconds: (performance.now() - started) / 1000, stop };
}

export async function startNull(): Promise<Target> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "null-server.ts")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [port] = (await once(child.stdout, "data")) as [Buffer];
  const url = `http://127.0.0.1:${String(port).trim()}`;
  return { system: "null server", url, pid: child.pid ?? 0, readySeconds: 0, stop: () => end(child) };
}

/** A new database of a PostgreSQL server. */
export function createDatabase(python: string, serverUrl: string, name: string): string {
  const program = `import psycopg2, sys
connection = psycopg2.connect(sys.argv[1])
connection.autocommit = True
connection.cursor().execute(f"CREATE DATABASE {sys.argv[2]}")`;
  const done = spawnSync(python, ["-c", program, serverUrl, name], { encoding: "utf8" });
  if (done.status !== 0) throw new Error(`No database ${name}: ${done.stderr}`);
  return serverUrl.replace(/\/[^/]*$/, `/${name}`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  await once(child, "exit");
}

async function answers(url: string, child: ChildProcess): Promise<boolean> {
  while (child.exitCode === null && child.signalCode === null) {
    const answer = await fetch(`${url}/health`).catch(() => undefined);
    if (answer?.ok) return true;
    await pause(10);
  }
  return false;
}
