import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createClient } from "@espalier/contract";
import { startControlPlane } from "@espalier/server";
import { afterEach, beforeEach, expect, test } from "vitest";

/** A step goes on logging through the real client while the control plane goes away and comes back. */
const timeout = 240_000;
const cli = resolve(import.meta.dirname, "../../apps/cli/src/main.ts");
let folder: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "espalier-restart-"));
  cpSync(join(import.meta.dirname, "project"), folder, { recursive: true });
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  rmSync(folder, { recursive: true, force: true });
});

const acknowledged = (): number => {
  try {
    return readFileSync(join(folder, "acknowledged"), "utf8").split("\n").length - 1;
  } catch {
    return 0;
  }
};
const moreThan = (count: number) => expect.poll(acknowledged, { timeout }).toBeGreaterThan(count);

/** Every acknowledged point once, in the attempt's run. */
async function pointsOf(url: string, runId: string): Promise<number[]> {
  const steps: number[] = [];
  for (let token = ""; ; ) {
    const query = new URLSearchParams({ run_id: runId, metric_key: "loss", max_results: "25000" });
    if (token !== "") query.set("page_token", token);
    const response = await fetch(`${url}/api/2.0/mlflow/metrics/get-history?${query}`);
    const page = (await response.json()) as { metrics?: { step: number }[]; next_page_token?: string };
    steps.push(...(page.metrics ?? []).map(({ step }) => step));
    token = page.next_page_token ?? "";
    if (token === "") return steps.sort((a, b) => a - b);
  }
}

async function finish(url: string, token: string, runId: string): Promise<void> {
  writeFileSync(join(folder, "go"), "");
  const client = createClient({ url, token });
  for await (const _event of client.events("runs.events", { params: { runId } }));
  const detail = await client.call("runs.get", { params: { runId } });
  expect(detail.run.error).toBeUndefined();
  const count = detail.steps[0]?.values?.["count"];
  expect(detail.attempts).toHaveLength(1);
  const steps = await pointsOf(url, detail.attempts[0]?.id ?? "");
  expect(steps).toEqual(Array.from({ length: count as number }, (_, index) => index));
  expect(acknowledged()).toBe(count);
}

test("closed and started again, on any port: no point is lost, and the step succeeds", { timeout }, async () => {
  const first = await startControlPlane({ projectDirectory: folder, databaseUrl: "" });
  const run = await createClient(first).call("runs.create", { body: { pipeline: "stream", params: { folder } } });
  await moreThan(20);
  await first.close();
  const before = acknowledged();
  const second = await startControlPlane({ projectDirectory: folder, databaseUrl: "", port: 0 });
  try {
    await moreThan(before + 20);
    await finish(second.url, second.token, run.id);
  } finally {
    await second.close();
  }
});

interface Owner {
  url: string;
  token: string;
  pid: number;
}

async function up(): Promise<Owner & { child: ChildProcess }> {
  const child = spawn(process.execPath, [cli, "up", "--port", "0", "--project", folder], {
    env: { ...process.env, DATABASE_URL: "" },
    stdio: ["ignore", "ignore", "inherit"],
  });
  children.push(child);
  const owner = (): Owner | undefined => {
    try {
      return JSON.parse(readFileSync(join(folder, ".espalier/owner.json"), "utf8")) as Owner;
    } catch {
      return undefined;
    }
  };
  await expect.poll(() => owner()?.pid, { timeout }).toBe(child.pid);
  return { ...(owner() as Owner), child };
}

test("killed outright, twice, in the middle of its answers", { timeout }, async () => {
  let owner = await up();
  const run = await createClient(owner).call("runs.create", { body: { pipeline: "stream", params: { folder } } });
  for (let round = 0; round < 2; round += 1) {
    await moreThan(acknowledged() + 20);
    owner.child.kill("SIGKILL");
    await once(owner.child, "exit");
    owner = await up();
  }
  await moreThan(acknowledged() + 20);
  await finish(owner.url, owner.token, run.id);
});
