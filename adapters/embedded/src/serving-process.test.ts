import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { startServing, stopServing } from "./serving-process.ts";

/** Announces itself once somebody says so, as a server whose model takes long to load. */
const program = `
import { existsSync, watchFile, writeFileSync } from "node:fs";
const announce = process.argv.at(-1);
const go = () => existsSync(process.argv[2]) && writeFileSync(announce, JSON.stringify({ pid: process.pid, port: 1000 }));
watchFile(process.argv[2], { interval: 20 }, go);
go();
`;

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

it("goes on with a process whose starter was killed before it noted it, and starts no second one", async () => {
  const folder = await mkdtemp(join(tmpdir(), "espalier-serving-process-"));
  closers.push(() => rm(folder, { recursive: true, force: true }));
  const [main, signal] = [join(folder, "main.mjs"), join(folder, "signal")];
  await writeFile(main, program);
  const stray = spawn(process.execPath, [main, signal, "--announce", join(folder, "announce.json")], {
    stdio: "ignore",
    detached: true,
  });
  await once(stray, "spawn");
  closers.push(() => stopServing(folder, 0));
  const started = startServing({ folder, label: "The server", startSeconds: 30, command: [main, signal] });
  await writeFile(signal, "");
  expect(await started).toEqual({ pid: stray.pid, port: 1000 });
  const exited = once(stray, "exit");
  await stopServing(folder, 0);
  await exited;
});

it("starts another where the one that lives has given its place away, and only answers what it has", async () => {
  const folder = await mkdtemp(join(tmpdir(), "espalier-serving-process-"));
  closers.push(() => rm(folder, { recursive: true, force: true }));
  const [main, never, signal] = [join(folder, "main.mjs"), join(folder, "never"), join(folder, "signal")];
  await writeFile(main, program);
  await writeFile(signal, "");
  const old = spawn(process.execPath, [main, never, "--announce", join(folder, "announce.json")], {
    stdio: "ignore",
    detached: true,
  });
  const exited = once(old, "exit");
  await once(old, "spawn");
  await writeFile(join(folder, "replaced.json"), JSON.stringify([old.pid]));
  closers.push(() => stopServing(folder, 0));
  const { pid } = await startServing({ folder, label: "The server", startSeconds: 30, command: [main, signal] });
  expect(pid).not.toBe(old.pid);
  // It ends with the other.
  await stopServing(folder, 0.1);
  await exited;
});

it("passes on where devices and the collector are, and no secret", async () => {
  const folder = await mkdtemp(join(tmpdir(), "espalier-serving-process-"));
  closers.push(() => rm(folder, { recursive: true, force: true }));
  const [main, told] = [join(folder, "main.mjs"), join(folder, "told")];
  const tell = "import { writeFileSync as tell } from 'node:fs'; tell(process.argv[2], JSON.stringify(process.env));";
  await writeFile(main, `${tell}\n${program}`);
  const given = { CUDA_VISIBLE_DEVICES: "0", NVIDIA_DRIVER_CAPABILITIES: "all", LC_TIME: "C", OTEL_SERVICE_NAME: "s" };
  const secret = { AWS_SECRET_ACCESS_KEY: "secret", ESPALIER_TOKEN: "secret" };
  Object.assign(process.env, given, secret);
  closers.push(async () => {
    for (const name of Object.keys({ ...given, ...secret })) delete process.env[name];
  });
  closers.push(() => stopServing(folder, 0));
  await startServing({ folder, label: "The server", startSeconds: 30, command: [main, told] });
  const environment = JSON.parse(await readFile(told, "utf8"));
  expect(environment).toMatchObject(given);
  for (const name of Object.keys(secret)) expect(environment).not.toHaveProperty(name);
});
