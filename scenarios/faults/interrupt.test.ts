import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { entryPoint } from "@espalier/host";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { stepProcesses } from "./kill.ts";
import { writeProject } from "./plane.ts";

/** A step that starts others, one of them deaf to SIGTERM, and hangs. */
const pipeline = `name: endless
steps:
  endless:
    run: "(trap '' TERM; while :; do sleep 1; done) & sleep 1000 & wait"
  next: { run: "true", needs: [endless] }
`;

let folder: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "espalier-interrupt-"));
  writeProject(folder, { "espalier.yaml": "project: endless\n", "pipelines/endless.yaml": pipeline });
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  for (const pid of stepProcesses(folder)) process.kill(pid, "SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

function espalier(...words: string[]): { child: ChildProcess; ended: Promise<{ code: number | null; out: string }> } {
  const child = spawn(process.execPath, [entryPoint("cli"), ...words, "--project", folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  let out = "";
  child.stdout.on("data", (chunk) => (out += String(chunk)));
  return { child, ended: once(child, "close").then(([code]) => ({ code, out })) };
}

async function startEndless(): Promise<ReturnType<typeof espalier>> {
  const run = espalier("run", "endless");
  // Wrapper, step, and the two that the step started.
  await vi.waitUntil(() => stepProcesses(folder).length >= 4, { timeout: 50_000 });
  return run;
}

async function stateOf(): Promise<string> {
  const { out } = await espalier("runs", "show", "latest", "--json").ended;
  return JSON.parse(out).run.state;
}

test("Ctrl-C cancels the run; nothing that its step started stays", async () => {
  const { child, ended } = await startEndless();
  child.kill("SIGINT");
  expect((await ended).code).not.toBe(0);
  expect(stepProcesses(folder)).toEqual([]);
  expect(await stateOf()).toBe("cancelled");
});

test("a command that is killed leaves its step running, which the next one takes over and can cancel", async () => {
  const { child, ended } = await startEndless();
  child.kill("SIGTERM");
  await ended;
  expect(stepProcesses(folder).length).toBeGreaterThanOrEqual(4);
  expect(await stateOf()).toBe("running");
  const cancelled = await espalier("cancel", "latest").ended;
  expect(cancelled.out).toContain("is cancelled");
  expect(stepProcesses(folder)).toEqual([]);
});
