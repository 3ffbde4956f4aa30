import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { entryPoint } from "@espalier/host";
import { freePort } from "../../scripts/servers/free-port.ts";
import { mlflowPrograms, mlflowVersions, withoutMlflowVariables } from "../../scripts/servers/mlflow-environment.ts";
import { startPostgres } from "../../scripts/servers/postgres.ts";
import { countLedgers } from "./soak-ledger.ts";

/**
 * `npm run soak:mlflow -- --minutes 20`: processes with MLflow's client log runs at a steady pace, while a supervisor kills the control
 * plane outright again and again and starts it anew. At the end every acknowledged write is looked for. Exit 1: one was lost, or a client
 * was told of an error after its retries. `--kill-seconds`, `--clients`, `--runs-a-minute` (all clients together), `--postgres`.
 */
const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "20" },
    "kill-seconds": { type: "string", default: "120" },
    clients: { type: "string", default: "8" },
    "runs-a-minute": { type: "string", default: "1000" },
    postgres: { type: "boolean", default: false },
  },
});
const seconds = Number(values.minutes) * 60;
const clients = Number(values.clients);
const runsAMinute = Number(values["runs-a-minute"]);

const programs = await mlflowPrograms(mlflowVersions[0]);
if ("skipped" in programs) throw new Error(programs.skipped);
const python = join(programs.bin, "python");
const postgres = values.postgres ? await startPostgres() : undefined;
if (postgres !== undefined && "skipped" in postgres) throw new Error(postgres.skipped);
const databaseUrl = postgres?.url ?? "";
const folder = mkdtempSync(join(tmpdir(), "espalier-soak-"));
writeFileSync(join(folder, "espalier.yaml"), "project: soak\n");
const port = await freePort();
const url = `http://127.0.0.1:${port}`;

/** Starts the control plane whenever there is none, and kills it when it has been there for long enough. */
function supervise(killSeconds: number): { starts: number[]; kills(): number; stop(): Promise<void> } {
  const starts: number[] = [];
  let kills = 0;
  let going = true;
  const turn = async (): Promise<void> => {
    const started = performance.now();
    const child = up();
    await answering(child);
    starts.push((performance.now() - started) / 1000);
    const deadline = Date.now() + killSeconds * 1000;
    while (going && Date.now() < deadline && child.exitCode === null) await pause(50);
    if (!going) return end(child, "SIGTERM");
    if (child.exitCode !== null) throw new Error(`The control plane ended by itself with ${child.exitCode}`);
    kills += 1;
    await end(child, "SIGKILL");
  };
  const loop = (async () => {
    while (going) await turn();
  })();
  loop.catch((error: unknown) => console.error(error));
  return {
    starts,
    kills: () => kills,
    async stop() {
      going = false;
      await loop;
    },
  };
}

function up(): ChildProcess {
  return spawn(process.execPath, [entryPoint("cli"), "up", "--port", String(port), "--project", folder], {
    env: { ...withoutMlflowVariables(), DATABASE_URL: databaseUrl },
    stdio: ["ignore", "ignore", "inherit"],
  });
}

async function answering(child: ChildProcess): Promise<void> {
  while (child.exitCode === null && child.signalCode === null) {
    const answer = await fetch(`${url}/health`).catch(() => undefined);
    if (answer?.ok) return;
    await pause(10);
  }
  throw new Error(`The control plane did not start (exit ${child.exitCode})`);
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  await once(child, "exit");
}

function client(ledger: string, experimentId: string): ChildProcessByStdio<Writable, Readable, null> {
  const words = [ledger, experimentId, String(runsAMinute / clients), String(seconds)];
  return spawn(python, [join(import.meta.dirname, "soak-client.py"), ...words], {
    env: {
      ...withoutMlflowVariables(),
      MLFLOW_TRACKING_URI: url,
      MLFLOW_DISABLE_TELEMETRY: "true",
      MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT: "true",
      GIT_PYTHON_REFRESH: "quiet",
      PYTHONWARNINGS: "ignore",
    },
    stdio: ["pipe", "pipe", "ignore"],
  });
}

async function createExperiment(): Promise<string> {
  const response = await fetch(`${url}/api/2.0/mlflow/experiments/create`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name: "soak" }),
  });
  if (!response.ok) throw new Error(await response.text());
  return ((await response.json()) as { experiment_id: string }).experiment_id;
}

let failed = true;
const children: ChildProcess[] = [];
try {
  const first = up();
  children.push(first);
  await answering(first);
  const experimentId = await createExperiment();
  await end(first, "SIGTERM");

  const supervisor = supervise(Number(values["kill-seconds"]));
  const ledgers = Array.from({ length: clients }, (_, index) => join(folder, `ledger-${index}.jsonl`));
  const processes = ledgers.map((ledger) => client(ledger, experimentId));
  children.push(...processes);
  await Promise.all(processes.map((child) => once(child.stdout, "data")));
  const started = performance.now();
  for (const child of processes) child.stdin.write("go\n");
  await Promise.all(processes.map((child) => (child.exitCode === null ? once(child, "exit") : undefined)));
  const elapsed = (performance.now() - started) / 1000;
  await supervisor.stop();

  // Counted by a process that has seen none of the writes.
  const last = up();
  children.push(last);
  await answering(last);
  const counted = await countLedgers(url, ledgers);
  await end(last, "SIGTERM");
  const pace = Math.round((counted.runs / elapsed) * 60);
  const slowest = Math.max(...supervisor.starts).toFixed(1);
  console.log(
    `${clients} clients, ${counted.runs} runs in ${(elapsed / 60).toFixed(1)} minutes (${pace} a minute), ` +
      `${supervisor.kills()} kills (ready again within ${slowest} s): ${counted.acknowledged} acknowledged writes, ` +
      `${counted.lost.length} lost, ${counted.twice.length} twice, ${counted.errors.length} errors shown to clients`,
  );
  const faults = [...counted.lost, ...counted.twice, ...counted.errors];
  for (const line of faults.slice(0, 20)) console.error(line);
  failed = faults.length > 0 || counted.runs === 0 || supervisor.kills() === 0;
} finally {
  for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
  await postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);
