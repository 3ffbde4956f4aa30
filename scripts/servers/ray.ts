import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes, randomInt } from "node:crypto";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freePort } from "./free-port.ts";
import { pythonPrograms } from "./python-programs.ts";

const rayVersion = "2.60.0";

export interface RayCluster {
  /** Of the job server on the head. */
  address: string;
  token: string;
  version: string;
  /** Folder with `python` and `ray`. */
  bin: string;
  /** SIGKILL to everything of one node that is not the head. Its address is used no more. */
  killNode(index: number): Promise<void>;
  startNode(): Promise<void>;
  /** SIGKILL to the head; then a new one under the same address, which knows nothing of the jobs before, and nodes as before. */
  restartHead(): Promise<void>;
  stop(): Promise<void>;
}

const cpusANode = 4;
const objectStoreBytes = 100_000_000;

/**
 * Starts a Ray cluster of its own on this machine: a head and two more nodes, each on a loopback address of its own, with token
 * authentication. `{ skipped }` says why there is none.
 */
export async function startRay({
  nodes = 3,
  head: headPort,
}: {
  nodes?: number;
  head?: number;
} = {}): Promise<RayCluster | { skipped: string }> {
  const programs = await pythonPrograms(`ray-${rayVersion}.txt`, `Ray ${rayVersion}`);
  if ("skipped" in programs) return programs;
  const { bin } = programs;
  const folder = mkdtempSync(join(tmpdir(), "espalier-ray-"));
  // A subnet of the loopback range for each cluster, so that two on one machine do not meet; 127.0.0.1 is not taken for a node's address.
  const subnet = `127.${randomInt(1, 255)}.${randomInt(0, 255)}`;
  const token = randomBytes(24).toString("hex");
  const [gcsPort, dashboardPort] = [await freePort(), headPort ?? (await freePort())];
  const address = `http://127.0.0.1:${dashboardPort}`;
  const environment = {
    ...process.env,
    PATH: `${bin}:${process.env.PATH ?? ""}`,
    RAY_AUTH_MODE: "token",
    RAY_AUTH_TOKEN: token,
    RAY_USAGE_STATS_ENABLED: "0",
    // How soon a node that went silent, and a head that went away, are given up.
    RAY_health_check_period_ms: "1000",
    RAY_health_check_failure_threshold: "3",
    RAY_gcs_rpc_server_reconnect_timeout_s: "10",
  };
  let started: ChildProcess[] = [];
  let count = 0;

  function start(...words: string[]): ChildProcess {
    const log = openSync(join(folder, `ray-${count}.log`), "a");
    const common = [
      `--num-cpus=${cpusANode}`,
      `--object-store-memory=${objectStoreBytes}`,
      "--min-worker-port=0",
      "--max-worker-port=0",
      "--disable-usage-stats",
      "--block",
    ];
    const child = spawn(join(bin, "ray"), ["start", ...words, ...common], {
      cwd: folder,
      env: environment,
      stdio: ["ignore", log, log],
      detached: true,
    });
    closeSync(log);
    count += 1;
    started.push(child);
    return child;
  }
  const startHead = async (): Promise<ChildProcess> =>
    start(
      "--head",
      `--node-ip-address=${subnet}.2`,
      `--port=${gcsPort}`,
      "--dashboard-host=127.0.0.1",
      `--dashboard-port=${dashboardPort}`,
      `--dashboard-agent-listen-port=${await freePort()}`,
      `--ray-client-server-port=${await freePort()}`,
      `--temp-dir=${join(folder, "t")}`,
    );
  const startWorker = async (): Promise<ChildProcess> =>
    start(
      `--address=${subnet}.2:${gcsPort}`,
      `--node-ip-address=${subnet}.${count + 2}`,
      `--dashboard-agent-listen-port=${await freePort()}`,
    );
  const alive = async (): Promise<number> => {
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(`${address}/nodes?view=summary`, { headers }).catch(() => undefined);
    if (response?.status !== 200) return 0;
    const { data } = (await response.json()) as { data: { summary: { raylet: { state?: string } }[] } };
    return data.summary.filter(({ raylet }) => raylet.state === "ALIVE").length;
  };
  const jobsAnswer = async (): Promise<boolean> => {
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(`${address}/api/jobs/`, { headers }).catch(() => undefined);
    return response?.status === 200;
  };
  const killWithUs = (): void => {
    for (const child of started) killGroup(child, "SIGKILL");
  };
  process.once("exit", killWithUs);
  async function startAll(): Promise<boolean> {
    workers = [];
    head = await startHead();
    if (!(await until(jobsAnswer, 60_000))) return false;
    // One after another: nodes on one machine share a folder, and two that start at once choose the same name for a socket there.
    for (let index = 1; index < nodes; index += 1) {
      workers.push(await startWorker());
      if (!(await until(async () => (await alive()) > index, 60_000))) return false;
    }
    return true;
  }
  let head: ChildProcess | undefined;
  let workers: ChildProcess[] = [];

  async function stop(): Promise<void> {
    process.removeListener("exit", killWithUs);
    for (const child of started.toReversed()) await end(child);
    started = [];
    rmSync(folder, { recursive: true, force: true });
  }

  if (!(await startAll())) {
    const last = readFileSync(join(folder, `ray-${count - 1}.log`), "utf8");
    const words = last.trim().split("\n").slice(-3).join(" ");
    await stop();
    return { skipped: `Ray did not start: ${words}` };
  }
  return {
    ...{ address, token, version: rayVersion, bin, stop },
    async killNode(index) {
      const worker = workers.splice(index, 1)[0];
      const before = await alive();
      if (worker) await kill(worker);
      if (!(await until(async () => (await alive()) < before, 60_000))) throw new Error("Ray does not notice the loss");
    },
    async startNode() {
      const before = await alive();
      workers.push(await startWorker());
      if (!(await until(async () => (await alive()) > before, 60_000))) throw new Error("Ray's node did not start");
    },
    async restartHead() {
      // Nodes of the old head know another cluster's id and end by themselves; here they are not waited for.
      for (const child of [head, ...workers]) if (child) await kill(child);
      if (!(await startAll())) throw new Error("Ray's head did not start again");
    },
  };
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

async function kill(child: ChildProcess): Promise<void> {
  const exited = child.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined;
  killGroup(child, "SIGKILL");
  await exited;
}

/** `ray start --block` ends what it started when it is told to end. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const exited = once(child, "exit");
    child.kill("SIGTERM");
    const force = setTimeout(() => killGroup(child, "SIGKILL"), 15_000);
    await exited;
    clearTimeout(force);
  }
  killGroup(child, "SIGKILL");
}

async function until(condition: () => Promise<boolean>, milliseconds: number): Promise<boolean> {
  for (const deadline = Date.now() + milliseconds; Date.now() < deadline; await pause(200)) {
    if (await condition()) return true;
  }
  return false;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const cluster = await startRay();
  if ("skipped" in cluster) {
    process.stderr.write(`${cluster.skipped}\n`);
    process.exit(3);
  }
  process.stdout.write(`RAY_API_SERVER_ADDRESS=${cluster.address}\nRAY_AUTH_TOKEN=${cluster.token}\n`);
  process.once("SIGINT", () => void cluster.stop());
  process.once("SIGTERM", () => void cluster.stop());
}
