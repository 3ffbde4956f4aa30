import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { answers } from "./answers.ts";
import { freePort } from "./free-port.ts";

const versitygwVersion = "1.7.0";

const cache = resolve(import.meta.dirname, "../../node_modules/.cache/espalier-servers");

export interface S3Server {
  endpoint: string;
  accessKeyId: string;
  secretAccessKey: string;
  /** An empty bucket. */
  bucket: string;
  version: string;
  pid: number;
  stop(): Promise<void>;
}

/** Builds it once with Go; the reason when that is not possible. */
function program(): { path: string } | { skipped: string } {
  const folder = join(cache, `versitygw-${versitygwVersion}`);
  const path = join(folder, "versitygw");
  if (existsSync(path)) return { path };
  if (spawnSync("go", ["version"]).status !== 0)
    return { skipped: "Go is not installed, and versitygw is built with it" };
  mkdirSync(folder, { recursive: true });
  process.stderr.write(`building versitygw ${versitygwVersion} (once, about two minutes)\n`);
  const built = spawnSync("go", ["install", `github.com/versity/versitygw/cmd/versitygw@v${versitygwVersion}`], {
    cwd: tmpdir(),
    env: { ...process.env, GOBIN: folder },
    encoding: "utf8",
  });
  if (built.status !== 0) return { skipped: `go install failed: ${built.stderr.trim().split("\n").at(-1)}` };
  return { path };
}

/** Starts a versitygw of its own over a temporary folder on a free loopback port, with one bucket. */
export async function startVersitygw(): Promise<S3Server | { skipped: string }> {
  const found = program();
  if ("skipped" in found) return found;
  const folder = mkdtempSync(join(tmpdir(), "espalier-versitygw-"));
  const port = await freePort();
  const bucket = "espalier";
  for (const name of ["data", "identities"]) mkdirSync(join(folder, name));
  // In this backend a bucket is a folder; made beforehand it belongs to the root account.
  mkdirSync(join(folder, "data", bucket));
  const server = spawn(
    found.path,
    ["--port", `127.0.0.1:${port}`, "--iam-dir", join(folder, "identities"), "posix", join(folder, "data")],
    {
      cwd: folder,
      env: { PATH: process.env.PATH, ROOT_ACCESS_KEY: "espalier", ROOT_SECRET_KEY: "espalier-test-secret" },
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  let log = "";
  server.stderr.on("data", (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-4_000);
  });
  const exited = once(server, "exit");
  const killWithUs = (): void => void server.kill("SIGKILL");
  process.once("exit", killWithUs);
  const stop = async (): Promise<void> => {
    process.removeListener("exit", killWithUs);
    if (server.exitCode === null && server.signalCode === null) server.kill("SIGTERM");
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  const ready = await Promise.race([answers(port), exited.then(() => false)]);
  if (!ready) {
    await stop();
    return { skipped: `versitygw did not start: ${log.trim().split("\n").at(-1)}` };
  }
  return {
    endpoint: `http://127.0.0.1:${port}`,
    accessKeyId: "espalier",
    secretAccessKey: "espalier-test-secret",
    bucket,
    version: versitygwVersion,
    pid: server.pid ?? 0,
    stop,
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = await startVersitygw();
  if ("skipped" in server) {
    process.stderr.write(`${server.skipped}\n`);
    process.exit(3);
  }
  process.stdout.write(
    `S3_ENDPOINT=${server.endpoint}\nS3_BUCKET=${server.bucket}\n` +
      `AWS_ACCESS_KEY_ID=${server.accessKeyId}\nAWS_SECRET_ACCESS_KEY=${server.secretAccessKey}\n`,
  );
  process.once("SIGINT", () => void server.stop());
  process.once("SIGTERM", () => void server.stop());
}
