import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freePort } from "./free-port.ts";
import { installPackages } from "./packages.ts";

export interface RegistryServer {
  /** Host and port on loopback, without TLS. */
  registry: string;
  username: string;
  password: string;
  /** Where it keeps blobs: a test may damage one. */
  folder: string;
  version: string;
  pid: number;
  stop(): Promise<void>;
}

const account = { username: "espalier", password: "a test's password" };

/**
 * Starts Debian's docker-registry over a temporary folder on a free loopback port, with basic authentication. `{ skipped }` says why there is
 * none.
 */
export async function startDockerRegistry(): Promise<RegistryServer | { skipped: string }> {
  const reason = installPackages(["docker-registry", "htpasswd"], ["docker-registry", "apache2-utils"]);
  if (reason !== undefined) return { skipped: reason };
  const folder = mkdtempSync(join(tmpdir(), "espalier-registry-"));
  mkdirSync(join(folder, "data"));
  const entry = spawnSync("htpasswd", ["-Bbn", account.username, account.password], { encoding: "utf8" });
  if (entry.status !== 0) return { skipped: `htpasswd failed: ${entry.stderr.trim()}` };
  writeFileSync(join(folder, "htpasswd"), entry.stdout);
  const port = await freePort();
  writeFileSync(join(folder, "config.yml"), configuration(folder, port));
  const log = openSync(join(folder, "log"), "a");
  const server = spawn("docker-registry", ["serve", join(folder, "config.yml")], {
    cwd: folder,
    env: { PATH: process.env["PATH"] ?? "", HOME: folder, OTEL_TRACES_EXPORTER: "none" },
    // Into a file: whoever starts tests and waits for them reads no pipe, and a full one would stop the registry.
    stdio: ["ignore", "ignore", log],
  });
  closeSync(log);
  const exited = once(server, "exit");
  const killWithUs = (): void => void server.kill("SIGKILL");
  process.once("exit", killWithUs);
  const stop = async (): Promise<void> => {
    process.removeListener("exit", killWithUs);
    if (server.exitCode === null && server.signalCode === null) server.kill("SIGTERM");
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  const registry = `127.0.0.1:${port}`;
  if (!(await Promise.race([answers(registry), exited.then(() => false)]))) {
    const last = readFileSync(join(folder, "log"), "utf8").trim().split("\n").at(-1);
    await stop();
    return { skipped: `docker-registry did not start: ${last}` };
  }
  const version = spawnSync("docker-registry", ["--version"], { encoding: "utf8" }).stdout.trim().split(" ").at(-1);
  return {
    registry,
    ...account,
    folder: join(folder, "data"),
    version: version ?? "unknown",
    pid: server.pid ?? 0,
    stop,
  };
}

function configuration(folder: string, port: number): string {
  return `version: 0.1
log: { level: error }
storage:
  filesystem: { rootdirectory: ${join(folder, "data")} }
  delete: { enabled: true }
http: { addr: "127.0.0.1:${port}" }
auth:
  htpasswd: { realm: test, path: ${join(folder, "htpasswd")} }
`;
}

async function answers(registry: string): Promise<boolean> {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; await pause(50)) {
    const response = await fetch(`http://${registry}/v2/`).catch(() => undefined);
    if (response?.status === 401) return true;
  }
  return false;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = await startDockerRegistry();
  if ("skipped" in server) {
    process.stderr.write(`${server.skipped}\n`);
    process.exit(3);
  }
  process.stdout.write(`REGISTRY=${server.registry}\nUSERNAME=${server.username}\nPASSWORD=${server.password}\n`);
  process.once("SIGINT", () => void server.stop());
  process.once("SIGTERM", () => void server.stop());
}
