import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stepRunnerConformance } from "@espalier/conformance";
import { describe, expect, it, test } from "vitest";
import { findProcess, parseIdentity } from "./process-identity.ts";
import { createProcessRunner } from "./process-runner.ts";

stepRunnerConformance(
  { describe, it, expect },
  {
    async open() {
      const folder = mkdtempSync(join(tmpdir(), "espalier-process-"));
      return {
        runner: createProcessRunner,
        async work(attemptId, command) {
          const attemptDirectory = join(folder, attemptId);
          mkdirSync(attemptDirectory, { recursive: true });
          const variables = { PATH: process.env.PATH ?? "" };
          return { kind: "local", command, workingDirectory: folder, attemptDirectory, variables };
        },
        async lose(handle) {
          const identity = parseIdentity(readFileSync(join(handle, "identity"), "utf8"));
          if (!identity) throw new Error("no identity");
          process.kill(identity.pid, "SIGKILL");
        },
        async close() {
          rmSync(folder, { recursive: true, force: true });
        },
      };
    },
  },
);

test("a process number that was given to somebody else is not mistaken for the step", async () => {
  const stat = readFileSync("/proc/self/stat", "utf8").trim();
  const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  const own = parseIdentity(`${stat}\n${boot}\n`);
  if (!own) throw new Error("no identity");
  expect(await findProcess(own)).toBe("alive");
  expect(await findProcess({ ...own, startedAt: "1" })).toBe("replaced");
  expect(await findProcess({ ...own, boot: "another" })).toBe("replaced");
});

test("a step killed while its identity was being written is lost, not awaited for ever", async () => {
  const folder = mkdtempSync(join(tmpdir(), "espalier-process-"));
  try {
    writeFileSync(join(folder, "identity"), "");
    const { utimesSync } = await import("node:fs");
    utimesSync(join(folder, "identity"), 1, 1);
    expect(await createProcessRunner().status(folder)).toMatchObject({ state: "lost" });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
