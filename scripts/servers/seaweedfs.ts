import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { answers } from "./answers.ts";
import { freePort } from "./free-port.ts";
import type { S3Server } from "./versitygw.ts";

/** The release 4.53 plus what was on its branch that day; its tags are no versions to Go. */
const seaweedfsVersion = "v0.0.0-20261109003541-7506e5f91cd6";

const cache = resolve(import.meta.dirname, "../../node_modules/.cache/espalier-servers");

/** Builds it once with Go; the reason when that is not possible. */
function program(): { path: string } | { skipped: string } {
  const folder = join(cache, `seaweedfs-${seaweedfsVersion}`);
  const path = join(folder, "weed");
  if (existsSync(path)) return { path };
  if (spawnSync("go", ["version"]).status !== 0)
    return { skipped: "Go is not installed, and SeaweedFS is built with it" };
  mkdirSync(folder, { recursive: true });
  process.stderr.write("building SeaweedFS (once, about 10 minutes on two cores)\n");
  const go = (cwd: string, ...words: string[]) => spawnSync("go", words, { cwd, encoding: "utf8" });
  const module = `github.com/seaweedfs/seaweedfs@${seaweedfsVersion}`;
  const found = go(tmpdir(), "mod", "download", "-json", module);
  if (found.status !== 0) return { skipped: `go mod download failed: ${(found.stdout || found.stderr).trim()}` };
  // Its go.mod replaces a module, which `go install` refuses; from inside the module that counts.
  const sources = (JSON.parse(found.stdout) as { Dir: string }).Dir;
  const built = go(sources, "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "./weed");
  if (built.status !== 0) return { skipped: `go build failed: ${built.stderr.trim().split("\n").at(-1)}` };
  return { path };
}

/** Starts a SeaweedFS of its own (master, volume server, filer, S3 in one process) on free loopback ports, with one bucket. */
export async function startSeaweedfs(): Promise<S3Server | { skipped: string }> {
  const found = program();
  if ("skipped" in found) return found;
  const folder = mkdtempSync(join(tmpdir(), "espalier-seaweedfs-"));
  mkdirSync(join(folder, "data"));
  const bucket = "espalier";
  const ports: Record<"master" | "volume" | "filer" | "s3", { http: number; grpc: number }> = {
    master: { http: await freePort(), grpc: await freePort() },
    volume: { http: await freePort(), grpc: await freePort() },
    filer: { http: await freePort(), grpc: await freePort() },
    s3: { http: await freePort(), grpc: await freePort() },
  };
  const server = spawn(
    found.path,
    [
      "-logtostderr=true",
      "server",
      "-ip=127.0.0.1",
      "-ip.bind=127.0.0.1",
      `-dir=${join(folder, "data")}`,
      "-filer",
      "-s3",
      ...Object.entries(ports).flatMap(([name, { http, grpc }]) => [
        `-${name}.port=${http}`,
        `-${name}.port.grpc=${grpc}`,
      ]),
      "-s3.port.iceberg=0",
      "-s3.port.lance=0",
      // Otherwise a misspelt bucket would silently be made.
      "-s3.autoCreateBucket=false",
      `-filer.localSocket=${join(folder, "filer.sock")}`,
      `-s3.localSocket=${join(folder, "s3.sock")}`,
      "-master.telemetry=false",
      "-master.volumeSizeLimitMB=256",
      "-volume.max=0",
      "-volume.preStopSeconds=0",
    ],
    {
      cwd: folder,
      // With credentials in its environment it checks signatures and lets nobody else in.
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        AWS_ACCESS_KEY_ID: "espalier",
        AWS_SECRET_ACCESS_KEY: "espalier-test-secret",
      },
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
    // Asked politely it takes 40 s to end, and its data goes with it anyway.
    killWithUs();
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  const started = Promise.all([takesWrites(ports.master.http), answers(ports.filer.http), answers(ports.s3.http)]);
  const ready = await Promise.race([started.then((all) => all.every(Boolean)), exited.then(() => false)]);
  const made = !ready
    ? undefined
    : spawnSync(found.path, ["shell", `-master=127.0.0.1:${ports.master.http}.${ports.master.grpc}`], {
        cwd: folder,
        input: `s3.bucket.create -name ${bucket}\nexit\n`,
        encoding: "utf8",
        timeout: 60_000,
      });
  if (made?.status !== 0 || !/created bucket/i.test(made.stdout + made.stderr)) {
    await stop();
    const words = made ? made.stdout + made.stderr : log;
    return { skipped: `SeaweedFS did not start: ${words.trim().split("\n").at(-1)}` };
  }
  return {
    endpoint: `http://127.0.0.1:${ports.s3.http}`,
    accessKeyId: "espalier",
    secretAccessKey: "espalier-test-secret",
    bucket,
    version: seaweedfsVersion,
    pid: server.pid ?? 0,
    stop,
  };
}

/** The master gives places to write to only once a volume server is there; asked for at most a minute. */
async function takesWrites(masterPort: number): Promise<boolean> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; ) {
    const answer = await fetch(`http://127.0.0.1:${masterPort}/dir/assign`)
      .then((response) => response.text())
      .catch(() => "");
    if (answer.includes('"fid"')) return true;
    await pause(100);
  }
  return false;
}
