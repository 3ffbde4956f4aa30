import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export interface SlurmServer {
  /** Of slurmrestd. */
  endpoint: string;
  /** An unprivileged user, and a token for it. */
  user: string;
  token: string;
  /** root, whose jobs may write where the tests write. */
  rootToken: string;
  /** Owned by `user`, seen by both sides. */
  sharedFolder: string;
  /** For `scontrol` and the other programs: `SLURM_CONF`. */
  configuration: string;
  version: string;
  stop(): Promise<void>;
}

const packages = ["slurmctld", "slurmd", "slurmrestd", "slurm-client", "munge", "slurm-wlm-jwt-plugin"];
const programs = ["munged", "slurmctld", "slurmd", "slurmrestd", "scontrol"];
const user = "nobody";
const nodes = ["n1", "n2"];

const has = (program: string): boolean =>
  (process.env.PATH ?? "").split(":").some((folder) => folder !== "" && existsSync(join(folder, program)));

/** Installs Debian's packages; the reason when that is not possible. */
function install(): string | undefined {
  if (programs.every(has)) return undefined;
  if (!has("apt-get")) return "Slurm is not installed, and there is no apt-get here";
  process.stderr.write("installing Slurm (once)\n");
  const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  for (const command of [
    ["update", "-qq"],
    ["install", "-y", "-qq", "--no-install-recommends", ...packages],
  ]) {
    const done = spawnSync("apt-get", command, { env: environment, encoding: "utf8" });
    if (done.status !== 0) return `apt-get ${command[0]} failed: ${lastLine(done.stderr)}`;
  }
  const missing = programs.filter((program) => !has(program));
  return missing.length === 0 ? undefined : `After the installation these are still missing: ${missing.join(", ")}`;
}

/**
 * Starts a Slurm of its own: a controller, two nodes on this machine and the REST service with JWT, all on free ports over a temporary
 * folder. `{ skipped }` says why there is none.
 */
export async function startSlurm(): Promise<SlurmServer | { skipped: string }> {
  if (process.getuid?.() !== 0)
    return { skipped: "Slurm's nodes start jobs of other users, for which they must be root" };
  const reason = install();
  if (reason !== undefined) return { skipped: reason };
  const numbers = ["-u", "-g"].map((flag) => Number(spawnSync("id", [flag, user], { encoding: "utf8" }).stdout));
  const [uid = 0, gid = 0] = numbers;
  if (uid === 0) return { skipped: `There is no user ${user}` };

  const folder = mkdtempSync(join(tmpdir(), "espalier-slurm-"));
  chmodSync(folder, 0o755);
  for (const name of ["state", "log", "shared", ...nodes]) mkdirSync(join(folder, name));
  chownSync(join(folder, "shared"), uid, gid);
  for (const name of ["munge.key", "jwt.key"]) writeFileSync(join(folder, name), randomBytes(128), { mode: 0o600 });
  const ports = await freePorts(2 + nodes.length);
  const [controllerPort = 0, restPort = 0, ...nodePorts] = ports;
  const configuration = join(folder, "slurm.conf");
  writeFileSync(configuration, configurationText(folder, controllerPort, nodePorts));
  writeFileSync(join(folder, "gres.conf"), nodes.map((node) => `NodeName=${node} Name=gpu File=/dev/null\n`).join(""));

  const started: ChildProcess[] = [];
  const environment = { PATH: process.env.PATH ?? "", SLURM_CONF: configuration };
  const start = (program: string, options: string[], more: { uid?: number; gid?: number; env?: object } = {}): void => {
    const log = openSync(join(folder, "log", `${program}-${started.length}`), "a");
    const { env, ...identity } = more;
    const options_ = { cwd: folder, stdio: ["ignore", log, log] as ["ignore", number, number], ...identity };
    started.push(spawn(program, options, { ...options_, env: { ...environment, ...env } }));
    closeSync(log);
  };
  const killWithUs = (): void => {
    for (const child of started) child.kill("SIGKILL");
  };
  process.once("exit", killWithUs);
  const run = (program: string, options: string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(program, options, { env: environment, encoding: "utf8" });
  const stop = async (): Promise<void> => {
    process.removeListener("exit", killWithUs);
    // Jobs outlive slurmd; without this they would outlive us.
    for (const name of ["root", user]) run("scancel", [`--user=${name}`]);
    await until(() => run("squeue", ["--noheader"]).stdout.trim() === "", 15_000);
    for (const child of started.toReversed()) await end(child);
    rmSync(folder, { recursive: true, force: true });
  };

  start("munged", [
    "--foreground",
    "--force",
    ...["key-file=munge.key", "socket=munge.sock", "pid-file=munged.pid", "log-file=munged.log", "seed-file=munge.seed"]
      .map((option) => option.split("="))
      .map(([name, file]) => `--${name}=${join(folder, file ?? "")}`),
  ]);
  await until(() => existsSync(join(folder, "munge.sock")), 10_000);
  start("slurmctld", ["-D", "-f", configuration]);
  for (const node of nodes) start("slurmd", ["-D", "-N", node, "-f", configuration]);
  start("slurmrestd", ["-a", "rest_auth/jwt", "-s", "openapi/v0.0.38", `127.0.0.1:${restPort}`], {
    ...{ uid, gid, env: { SLURM_JWT: "daemon" } },
  });

  const ready = await until(
    () => run("sinfo", ["--noheader", "--Node", "--format=%T"]).stdout.trim() === nodes.map(() => "idle").join("\n"),
    30_000,
  );
  const tokenOf = (name: string): string =>
    run("scontrol", ["token", `username=${name}`, "lifespan=86400"])
      .stdout.trim()
      .replace("SLURM_JWT=", "");
  const endpoint = `http://127.0.0.1:${restPort}`;
  const token = tokenOf(user);
  const headers = { "X-SLURM-USER-NAME": user, "X-SLURM-USER-TOKEN": token };
  const answers = ready && (await until(() => pings(endpoint, headers), 15_000));
  if (!answers) {
    const words = started.map((_, index) => logEnd(folder, index)).join("; ");
    await stop();
    return { skipped: `Slurm did not start: ${words}` };
  }
  return {
    ...{ endpoint, user, token, configuration, stop },
    rootToken: tokenOf("root"),
    sharedFolder: join(folder, "shared"),
    version: run("scontrol", ["--version"])
      .stdout.trim()
      .replace(/^slurm(-wlm)? /, ""),
  };
}

/** Nodes say of themselves what stands here, since both are one machine; SchedulerParameters, so that tests need not wait. */
function configurationText(folder: string, controllerPort: number, nodePorts: number[]): string {
  const host = hostname().split(".")[0];
  return `ClusterName=espalier
SlurmctldHost=${host}(127.0.0.1)
SlurmctldPort=${controllerPort}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=${folder}/munge.sock
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key=${folder}/jwt.key
StateSaveLocation=${folder}/state
SlurmdSpoolDir=${folder}/%n
SlurmctldPidFile=${folder}/slurmctld.pid
SlurmdPidFile=${folder}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=1
DefMemPerCPU=100
SlurmdParameters=config_overrides
GresTypes=gpu
KillWait=5
ReturnToService=1
${nodes.map((node, index) => `NodeName=${node} NodeHostname=${host} NodeAddr=127.0.0.1 Port=${nodePorts[index]} CPUs=4 RealMemory=2000 Gres=gpu:1`).join("\n")}
PartitionName=main Nodes=${nodes.join(",")} Default=YES MaxTime=INFINITE State=UP
`;
}

async function pings(endpoint: string, headers: Record<string, string>): Promise<boolean> {
  const response = await fetch(`${endpoint}/slurm/v0.0.38/ping`, { headers }).catch(() => undefined);
  return response?.status === 200;
}

async function until(condition: () => boolean | Promise<boolean>, milliseconds: number): Promise<boolean> {
  for (const deadline = Date.now() + milliseconds; Date.now() < deadline; await pause(100)) {
    if (await condition()) return true;
  }
  return false;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const force = setTimeout(() => child.kill("SIGKILL"), 10_000);
  await exited;
  clearTimeout(force);
}

/** All held at once, so that no two are equal. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => {
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("No free port");
    return address.port;
  });
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}

function logEnd(folder: string, index: number): string {
  const program = ["munged", "slurmctld", "slurmd", "slurmd", "slurmrestd"][index] ?? "";
  return `${program}: ${lastLine(readFileSync(join(folder, "log", `${program}-${index}`), "utf8"))}`;
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = await startSlurm();
  if ("skipped" in server) {
    process.stderr.write(`${server.skipped}\n`);
    process.exit(3);
  }
  process.stdout.write(
    `SLURM_ENDPOINT=${server.endpoint}\nSLURM_CONF=${server.configuration}\nSLURM_JWT=${server.token}\n`,
  );
  process.once("SIGINT", () => void server.stop());
  process.once("SIGTERM", () => void server.stop());
}
