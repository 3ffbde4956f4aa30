import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { acquireOwnership, findOwner } from "./ownership.ts";

interface Said {
  owned: boolean;
  url: string;
  pid?: number;
  answered?: string;
}

let folder: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), "espalier-owner-")), ".espalier");
});
afterEach(async () => {
  for (const child of children.splice(0)) await end(child, "SIGKILL");
  rmSync(join(folder, ".."), { recursive: true, force: true });
});

async function contend(mode = "publish"): Promise<{ child: ChildProcess; said: Said }> {
  const program = fileURLToPath(new URL("testing/contender.ts", import.meta.url));
  const child = spawn(process.execPath, ["--no-warnings", program, folder, mode], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  for await (const line of createInterface({ input: child.stdout })) return { child, said: JSON.parse(line) as Said };
  throw new Error("It said nothing");
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  await once(child, "exit");
}

test("of three processes that start at once one owns, the others reach it", async () => {
  const all = await Promise.all([contend(), contend(), contend()]);
  const owner = all.filter(({ said }) => said.owned);
  expect(owner).toHaveLength(1);
  for (const { said } of all.filter((one) => !one.said.owned)) {
    expect(said).toMatchObject({ url: owner[0]?.said.url, answered: String(owner[0]?.said.pid) });
  }
});

test("kill -9 frees the project at once, and the dead owner's address misleads nobody", async () => {
  const first = await contend();
  expect(statSync(join(folder, "owner.json")).mode & 0o777).toBe(0o600);
  await end(first.child, "SIGKILL");
  expect(await findOwner(folder)).toBeUndefined();
  const all = await Promise.all([contend(), contend(), contend()]);
  expect(all.filter(({ said }) => said.owned)).toHaveLength(1);
  expect(new Set(all.map(({ said }) => said.url)).size).toBe(1);
  expect(all[0]?.said.url).not.toBe(first.said.url);
});

test("an owner that dies before it publishes is succeeded by one that waits", async () => {
  const silent = await contend("silent");
  expect(silent.said.owned).toBe(true);
  const waiting = contend();
  await end(silent.child, "SIGKILL");
  expect((await waiting).said.owned).toBe(true);
});

test("an address left by a dead owner, whose process id lives again, is gone once somebody owns", async () => {
  const first = await contend();
  await end(first.child, "SIGKILL");
  const stale = { url: first.said.url, token: "t", pid: process.pid, host: hostname() };
  writeFileSync(join(folder, "owner.json"), JSON.stringify(stale));
  await contend("silent");
  await expect(acquireOwnership(folder, { timeoutSeconds: 0.05 })).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test("one that never publishes is named after a while", async () => {
  await contend("silent");
  await expect(acquireOwnership(folder, { timeoutSeconds: 0.05 })).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test("an owner that leaves in order takes its address with it", async () => {
  const { child } = await contend();
  await end(child, "SIGTERM");
  expect(await findOwner(folder)).toBeUndefined();
  const next = await acquireOwnership(folder);
  expect(next.owned).toBe(true);
  if (!next.owned) return;
  await next.publish("http://127.0.0.1:1");
  expect(await findOwner(folder)).toMatchObject({ url: "http://127.0.0.1:1", token: next.token, pid: process.pid });
  expect(await acquireOwnership(folder), "the same process asks twice").toMatchObject({ owned: false });
  await next.release();
  await next.release();
  expect(await findOwner(folder)).toBeUndefined();
});

test("files that mean nothing block nobody", async () => {
  const owner = await acquireOwnership(folder);
  if (owner.owned) await owner.release();
  writeFileSync(join(folder, "owner.json"), "{half");
  const next = await acquireOwnership(folder);
  expect(next.owned).toBe(true);
  if (next.owned) await next.release();
  writeFileSync(join(folder, "owner.lock"), "not a database, but longer than a header would be ".repeat(10));
  await expect(acquireOwnership(folder)).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
});
