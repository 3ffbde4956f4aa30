import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "./free-port.ts";

export interface PostgresServer {
  /** Its user may do everything, creating databases included. */
  url: string;
  version: string;
  pid: number;
  stop(): Promise<void>;
}

const binaries = ["initdb", "postgres"] as const;

/** Where Debian, and others, keep the server's programs; the newest version first. */
function findPrograms(): Record<(typeof binaries)[number], string> | undefined {
  const debian = "/usr/lib/postgresql";
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [
    ...versions.map((version) => join(debian, version, "bin")),
    ...(process.env.PATH ?? "").split(":").filter((folder) => folder !== ""),
  ];
  const folder = folders.find((one) => binaries.every((binary) => existsSync(join(one, binary))));
  return folder === undefined ? undefined : { initdb: join(folder, "initdb"), postgres: join(folder, "postgres") };
}

/** Installs Debian's package when root may; the reason when it may not. */
function install(): string | undefined {
  if (process.getuid?.() !== 0)
    return "PostgreSQL is not installed, and only root may install it (`apt-get install postgresql`)";
  if (spawnSync("apt-get", ["--version"]).status !== 0)
    return "PostgreSQL is not installed, and there is no apt-get here";
  const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  for (const command of [
    ["update", "-qq"],
    ["install", "-y", "-qq", "--no-install-recommends", "postgresql"],
  ]) {
    const done = spawnSync("apt-get", command, { env: environment, encoding: "utf8" });
    if (done.status !== 0) return `apt-get ${command[0]} failed: ${lastLine(done.stderr)}`;
  }
  return undefined;
}

/**
 * Starts a PostgreSQL of its own in a temporary folder on a free loopback port. `{ skipped }` says why there is none. Its user is
 * `postgres` when this is root, for the server refuses to run as root. Not durable (fsync off): it is for tests.
 */
export async function startPostgres(): Promise<PostgresServer | { skipped: string }> {
  let programs = findPrograms();
  if (programs === undefined) {
    const reason = install();
    if (reason !== undefined) return { skipped: reason };
    programs = findPrograms();
    if (programs === undefined) return { skipped: "PostgreSQL's programs were not found after its installation" };
  }
  const identity = serverIdentity();
  if (typeof identity === "string") return { skipped: identity };

  const folder = mkdtempSync(join(tmpdir(), "espalier-postgres-"));
  if (identity.uid !== undefined && identity.gid !== undefined) chownSync(folder, identity.uid, identity.gid);
  const data = join(folder, "data");
  const options = { ...identity, cwd: folder, encoding: "utf8" as const };
  const made = spawnSync(
    programs.initdb,
    ["-D", data, "-U", "espalier", "-A", "trust", "-E", "UTF8", "--no-sync", "--no-instructions"],
    options,
  );
  if (made.status !== 0) {
    rmSync(folder, { recursive: true, force: true });
    return { skipped: `initdb failed: ${lastLine(made.stderr)}` };
  }
  const port = await freePort();
  const settings = { fsync: "off", synchronous_commit: "off", full_page_writes: "off", shared_buffers: "32MB" };
  const server = spawn(
    programs.postgres,
    [
      ...["-D", data, "-h", "127.0.0.1", "-p", String(port), "-k", folder],
      ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    ],
    { ...identity, cwd: folder, stdio: ["ignore", "ignore", "pipe"] },
  );
  const exited = once(server, "exit");
  const killWithUs = (): void => void server.kill("SIGQUIT");
  process.once("exit", killWithUs);
  const stop = async (): Promise<void> => {
    process.removeListener("exit", killWithUs);
    // SIGINT is PostgreSQL's fast shutdown: it ends open sessions instead of waiting for them.
    if (server.exitCode === null) server.kill("SIGINT");
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  const log = await readUntilReady(server.stderr, exited);
  if (!log.ready) {
    await stop();
    return { skipped: `PostgreSQL did not start: ${lastLine(log.text)}` };
  }
  // Nobody reads on; without this a full pipe would block the server.
  server.stderr.resume();
  const version = /PostgreSQL (\S+)/.exec(log.text)?.[1] ?? "unknown";
  return { url: `postgres://espalier@127.0.0.1:${port}/postgres`, version, pid: server.pid ?? 0, stop };
}

function serverIdentity(): { uid?: number; gid?: number } | string {
  if (process.getuid?.() !== 0) return {};
  const [uid, gid] = ["-u", "-g"].map((flag) => {
    const found = spawnSync("id", [flag, "postgres"], { encoding: "utf8" });
    return found.status === 0 ? Number(found.stdout) : undefined;
  });
  if (uid === undefined || gid === undefined) return "PostgreSQL refuses to run as root, and there is no user postgres";
  return { uid, gid };
}

async function readUntilReady(
  stderr: NodeJS.ReadableStream,
  exited: Promise<unknown>,
): Promise<{ ready: boolean; text: string }> {
  let text = "";
  const ready = new Promise<boolean>((resolve) => {
    stderr.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes("ready to accept connections")) resolve(true);
    });
  });
  return { ready: await Promise.race([ready, exited.then(() => false)]), text };
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = await startPostgres();
  if ("skipped" in server) {
    process.stderr.write(`${server.skipped}\n`);
    process.exit(3);
  }
  process.stdout.write(`DATABASE_URL=${server.url}\n`);
  process.once("SIGINT", () => void server.stop());
  process.once("SIGTERM", () => void server.stop());
}
