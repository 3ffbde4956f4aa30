import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freePort } from "./free-port.ts";
import { type MlflowVersion, mlflowPrograms, mlflowVersions, withoutMlflowVariables } from "./mlflow-environment.ts";
import { startPostgres } from "./postgres.ts";

export interface MlflowServerOptions {
  version: MlflowVersion;
  backend: "sqlite" | "postgres";
  /** Where its database file and artifacts are kept; a temporary folder, removed by `stop`, when it is left out. */
  folder?: string;
  /** A PostgreSQL database instead of a server of its own, as `postgres://...`. */
  databaseUrl?: string;
  /** Processes that answer; the server's own default when it is left out. */
  workers?: number;
  /** A free one when it is left out. */
  port?: number;
  /** Seconds until it has to answer. */
  startSeconds?: number;
}

export interface MlflowServer {
  url: string;
  version: string;
  /** The leader of the process group that answers. */
  pid: number;
  /** As SQLAlchemy writes it. */
  databaseUrl: string;
  /** Seconds from the start of the process to the first answer. */
  readySeconds: number;
  stop(): Promise<void>;
}

/** Starts a stock `mlflow server` on a free loopback port, artifacts served by proxy. `{ skipped }` says why there is none. */
export async function startMlflowServer(options: MlflowServerOptions): Promise<MlflowServer | { skipped: string }> {
  const programs = await mlflowPrograms(options.version);
  if ("skipped" in programs) return programs;
  const database = await openDatabase(options);
  if ("skipped" in database) return database;
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), "espalier-mlflow-"));
  mkdirSync(join(folder, "artifacts"), { recursive: true });
  const databaseUrl = database.url ?? `sqlite:///${join(folder, "mlflow.db")}`;
  const port = options.port ?? (await freePort());
  const url = `http://127.0.0.1:${port}`;
  const started = performance.now();
  const server = spawn(
    join(programs.bin, "python"),
    [
      ...["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", String(port)],
      ...["--backend-store-uri", databaseUrl, "--artifacts-destination", join(folder, "artifacts")],
      ...(options.workers === undefined ? [] : ["--workers", String(options.workers)]),
    ],
    {
      cwd: folder,
      // Its job runner is another tree of processes, of no use to us; without it the server is smaller and starts sooner.
      env: {
        ...withoutMlflowVariables(),
        PATH: `${programs.bin}:${process.env.PATH}`,
        MLFLOW_DISABLE_TELEMETRY: "true",
        MLFLOW_SERVER_ENABLE_JOB_EXECUTION: "false",
      },
      stdio: ["ignore", "ignore", "pipe"],
      detached: true,
    },
  );
  let log = "";
  server.stderr.on("data", (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-8_000);
  });
  const exited = once(server, "exit");
  const killWithUs = (): void => signalGroup(server, "SIGKILL");
  process.once("exit", killWithUs);
  const stop = async (): Promise<void> => {
    process.removeListener("exit", killWithUs);
    signalGroup(server, "SIGTERM");
    // Its workers end by themselves when they are idle; one that is in a long query does not.
    const ended = await Promise.race([exited.then(() => true), pause(5_000, false, { ref: false })]);
    signalGroup(server, "SIGKILL");
    if (!ended) await exited;
    await database.stop();
    if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
  };
  const ready = await Promise.race([answers(url, options.startSeconds ?? 240), exited.then(() => false)]);
  if (!ready) {
    await stop();
    return { skipped: `mlflow server ${options.version} did not start: ${log.trim().split("\n").at(-1)}` };
  }
  const readySeconds = (performance.now() - started) / 1000;
  return { url, version: options.version, pid: server.pid ?? 0, databaseUrl, readySeconds, stop };
}

async function openDatabase(
  options: MlflowServerOptions,
): Promise<{ url: string | undefined; stop(): Promise<void> } | { skipped: string }> {
  const nothing = async (): Promise<void> => undefined;
  if (options.backend === "sqlite") return { url: undefined, stop: nothing };
  if (options.databaseUrl !== undefined) return { url: sqlalchemyUrl(options.databaseUrl), stop: nothing };
  const postgres = await startPostgres();
  if ("skipped" in postgres) return postgres;
  return { url: sqlalchemyUrl(postgres.url), stop: postgres.stop };
}

const sqlalchemyUrl = (url: string): string => url.replace(/^postgres(ql)?:/, "postgresql+psycopg2:");

function signalGroup(server: ChildProcess, signal: NodeJS.Signals): void {
  if (server.pid === undefined) return;
  try {
    process.kill(-server.pid, signal);
  } catch (error) {
    // Nobody of the group is left.
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

async function answers(url: string, seconds: number): Promise<boolean> {
  for (const deadline = Date.now() + seconds * 1000; Date.now() < deadline; ) {
    const answer = await fetch(`${url}/health`, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
    if (answer?.ok) return true;
    await pause(20);
  }
  return false;
}

/** The programs of a version, for scripts that are not in TypeScript: `mlflow.ts 3.17.2 [sqlite|postgres]` starts a server. */
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const version = mlflowVersions.find((one) => one === (process.argv[2] ?? mlflowVersions[0]));
  if (version === undefined) {
    process.stderr.write(`There is no ${process.argv[2]}; there are: ${mlflowVersions.join(", ")}\n`);
    process.exit(2);
  }
  const server = await startMlflowServer({ version, backend: process.argv[3] === "postgres" ? "postgres" : "sqlite" });
  if ("skipped" in server) {
    process.stderr.write(`${server.skipped}\n`);
    process.exit(3);
  }
  process.stdout.write(`MLFLOW_TRACKING_URI=${server.url}\n`);
  process.once("SIGINT", () => void server.stop());
  process.once("SIGTERM", () => void server.stop());
}
