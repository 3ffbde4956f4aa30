import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { freePort } from "./free-port.ts";
import { pythonPrograms } from "./python-programs.ts";

const version = "3.3.2";

export interface AirflowServer {
  url: string;
  version: string;
  /** What is put here becomes a DAG within seconds. */
  dagsFolder: string;
  stop(): Promise<void>;
}

/** `airflow standalone` on free loopback ports: API server, scheduler with its local executor, DAG processor and triggerer over SQLite. */
export async function startAirflow(): Promise<AirflowServer | { skipped: string }> {
  const programs = await pythonPrograms(`airflow-${version}.txt`, `Airflow ${version}`);
  if ("skipped" in programs) return programs;
  const home = mkdtempSync(join(tmpdir(), "espalier-airflow-"));
  const dagsFolder = join(home, "dags");
  mkdirSync(dagsFolder);
  const [port, workerPort, triggererPort] = [await freePort(), await freePort(), await freePort()];
  const url = `http://127.0.0.1:${port}`;
  const server = spawn(join(programs.bin, "airflow"), ["standalone"], {
    cwd: home,
    env: {
      ...settings(home, dagsFolder, { port, workerPort, triggererPort }),
      PATH: `${programs.bin}:${process.env.PATH}`,
    },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let log = "";
  const keep = (chunk: Buffer): void => {
    log = (log + chunk.toString()).slice(-20_000);
    if (process.env.ESPALIER_TEST_AIRFLOW_LOG !== undefined) process.stderr.write(chunk);
  };
  server.stdout.on("data", keep);
  server.stderr.on("data", keep);
  const exited = once(server, "exit");
  const kill = (signal: NodeJS.Signals): void => {
    try {
      process.kill(-(server.pid ?? 0), signal);
    } catch (error) {
      // Nobody of the group is left.
      if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
    }
  };
  const killWithUs = (): void => kill("SIGKILL");
  process.once("exit", killWithUs);
  const stop = async (): Promise<void> => {
    process.removeListener("exit", killWithUs);
    kill("SIGTERM");
    await Promise.race([exited, pause(10_000, undefined, { ref: false })]);
    kill("SIGKILL");
    await exited;
    rmSync(home, { recursive: true, force: true });
  };
  const ready = await Promise.race([isHealthy(url), exited.then(() => false)]);
  if (ready) return { url, version, dagsFolder, stop };
  await stop();
  return { skipped: `airflow standalone ${version} did not start: ${log.trim().split("\n").slice(-5).join(" | ")}` };
}

function settings(
  home: string,
  dagsFolder: string,
  { port, workerPort, triggererPort }: { port: number; workerPort: number; triggererPort: number },
): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("AIRFLOW"));
  return {
    ...Object.fromEntries(inherited),
    AIRFLOW_HOME: home,
    AIRFLOW__CORE__DAGS_FOLDER: dagsFolder,
    AIRFLOW__CORE__LOAD_EXAMPLES: "False",
    AIRFLOW__CORE__PARALLELISM: "4",
    // Its API answers without a password, on loopback.
    AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS: "True",
    AIRFLOW__CORE__EXECUTION_API_SERVER_URL: `http://127.0.0.1:${port}/execution/`,
    AIRFLOW__API__HOST: "127.0.0.1",
    AIRFLOW__API__PORT: String(port),
    AIRFLOW__API__WORKERS: "1",
    AIRFLOW__API__BASE_URL: `http://127.0.0.1:${port}`,
    AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT: String(workerPort),
    AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT: String(triggererPort),
    AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL: "2",
    AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL: "1",
    AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL: "2",
    AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME: "0.2",
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED: "False",
    NO_PROXY: "127.0.0.1,localhost",
    no_proxy: "127.0.0.1,localhost",
  };
}

/** Its scheduler and DAG processor beat too, not only the server. */
async function isHealthy(url: string): Promise<boolean> {
  for (const deadline = Date.now() + 240_000; Date.now() < deadline; ) {
    const answer = await fetch(`${url}/api/v2/monitor/health`, { signal: AbortSignal.timeout(5_000) }).catch(
      () => undefined,
    );
    if (answer?.ok) {
      const parts = (await answer.json()) as Record<string, { status: string | null }>;
      if (["metadatabase", "scheduler", "dag_processor"].every((part) => parts[part]?.status === "healthy"))
        return true;
    }
    await pause(200);
  }
  return false;
}
