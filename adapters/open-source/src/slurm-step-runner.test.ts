import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type AttemptServer, startAttemptServer, stepRunnerConformance } from "@espalier/conformance";
import type { StepRunner, StepSpec, StepStatus } from "@espalier/core";
import { describe, expect, it } from "vitest";
import { connectSlurm } from "./slurm-client.ts";
import type { SlurmConfig } from "./slurm-config.ts";
import { createSlurmStepRunner } from "./slurm-step-runner.ts";

const endpoint = process.env.ESPALIER_TEST_SLURM_ENDPOINT;
const launcher = fileURLToPath(new URL("../../../python/launcher.py", import.meta.url));

if (endpoint === undefined) {
  it.skip("Slurm conformance (skipped: needs a server; `npm run test:servers -- slurm` starts one)", () => undefined);
} else {
  const remote: SlurmConfig = {
    endpoint,
    user: process.env.ESPALIER_TEST_SLURM_USER ?? "",
    token_variable: "ESPALIER_TEST_SLURM_TOKEN",
  };
  const shared: SlurmConfig = {
    endpoint,
    user: "root",
    token_variable: "ESPALIER_TEST_SLURM_ROOT_TOKEN",
    shares_project: true,
  };
  const withFolder = { ...remote, shared_folder: process.env.ESPALIER_TEST_SLURM_SHARED ?? "" };
  const runnerOf = (config: SlurmConfig): StepRunner => createSlurmStepRunner(config, { launcher });
  const jobOf = (handle: string): number => (JSON.parse(handle) as [number])[0];

  /** The node of a job is declared down, which to Slurm is a node that fails; it comes back afterwards. */
  const lose = async (config: SlurmConfig, handle: string, lost: string[]): Promise<void> => {
    const job = await connectSlurm(config).job(jobOf(handle));
    const node = job?.nodes ?? "";
    expect(node).not.toBe("");
    lost.push(node);
    scontrol("update", `nodename=${node}`, "state=down", "reason=test");
  };
  const resume = (lost: string[]): void => {
    for (const node of lost.splice(0)) scontrol("update", `nodename=${node}`, "state=resume");
  };

  describe("through the launcher, as another user", () => {
    stepRunnerConformance(
      { describe, it, expect },
      {
        async open() {
          const server = await startAttemptServer();
          const lost: string[] = [];
          return {
            runner: () => runnerOf(remote),
            work: async (attemptId, command) => server.work(attemptId, command),
            logs: async (handle, offset) => server.logs((JSON.parse(handle) as [number, string])[1], offset),
            lose: (handle) => lose(remote, handle, lost),
            async close() {
              resume(lost);
              await server.close();
            },
          };
        },
      },
    );
  });

  describe("on shared files", () => {
    stepRunnerConformance(
      { describe, it, expect },
      {
        async open() {
          const folder = mkdtempSync(join(tmpdir(), "espalier-slurm-test-"));
          const lost: string[] = [];
          return {
            runner: () => runnerOf(shared),
            async work(attemptId, command) {
              const attemptDirectory = join(folder, attemptId);
              mkdirSync(attemptDirectory, { recursive: true });
              return localWork(attemptDirectory, command);
            },
            lose: (handle) => lose(shared, handle, lost),
            async close() {
              resume(lost);
              rmSync(folder, { recursive: true, force: true });
            },
          };
        },
      },
    );
  });

  describe("against the real server", () => {
    const withServer = async (body: (server: AttemptServer) => Promise<void>): Promise<void> => {
      const server = await startAttemptServer();
      try {
        await body(server);
      } finally {
        await server.close();
      }
    };
    const specOf = (work: StepSpec["work"], more: Partial<StepSpec> = {}): StepSpec => ({
      attemptId: crypto.randomUUID(),
      label: "flights/train#1",
      work,
      resources: {},
      graceSeconds: 1,
      ...more,
    });

    it("moves inputs, parameters and outputs, and shows the token to nobody", () =>
      withServer(async (server) => {
        const attemptId = crypto.randomUUID();
        const bytes = Buffer.from("line\n".repeat(100_000));
        const command =
          'wc -l <"$ESPALIER_INPUTS/data" | tr -d " " >"$ESPALIER_OUTPUTS/count"; cp "$ESPALIER_INPUTS/data" "$ESPALIER_OUTPUTS/copy"; ' +
          'printf "%s" "$ESPALIER_PARAMS" >"$ESPALIER_OUTPUTS/params"; id -un; ' +
          `echo '{"type":"tag","key":"a","value":"b"}' >>"$ESPALIER_EVENTS"`;
        const work = server.work(attemptId, command, {
          inputs: { data: bytes },
          outputs: ["count", "copy", "params"],
          params: { text: 'quote " and\nline, ñ' },
        });
        const runner = runnerOf(withFolder);
        const handle = await runner.submit(specOf(work, { attemptId }));
        expect(await untilEnded(runner, handle)).toEqual({ state: "exited", exitCode: 0 });
        const { outputs, exit, log, events } = server.attempt(attemptId);
        expect(outputs.count?.[""]?.toString()).toBe("100000\n");
        expect(outputs.copy?.[""]?.equals(bytes)).toBe(true);
        expect(JSON.parse(outputs.params?.[""]?.toString() ?? "")).toEqual({ text: 'quote " and\nline, ñ' });
        expect(exit).toEqual({ exitCode: 0, cancelled: false });
        expect(log.toString()).toBe(`${remote.user}\n`);
        expect(events.toString()).toContain('"tag"');
        const told = JSON.stringify(await connectSlurm(remote).job(jobOf(handle)));
        const shown = scontrol("show", "job", String(jobOf(handle)));
        expect(told + shown + handle).not.toContain(work.token);
      }));

    it("keeps what the launcher says, and the exit code, in the shared folder", () =>
      withServer(async (server) => {
        const attemptId = crypto.randomUUID();
        const work = server.work(attemptId, "exit 9");
        const runner = runnerOf(withFolder);
        const ended = await runner.submit(specOf(work, { attemptId }));
        expect(await untilEnded(runner, ended)).toEqual({ state: "exited", exitCode: 9 });
        // As Slurm answers once it has forgotten the job.
        const real = connectSlurm(remote);
        const forgetful = { ...real, job: async () => undefined, jobs: async () => [] };
        const later = createSlurmStepRunner(withFolder, { launcher }, forgetful);
        expect(await later.status(ended)).toEqual({ state: "exited", exitCode: 9 });
        expect(await later.submit(specOf(work, { attemptId }))).toBe(ended);
        const without = createSlurmStepRunner(remote, { launcher }, forgetful);
        const bare = JSON.stringify([jobOf(ended), attemptId, ""]);
        expect(await without.status(bare)).toMatchObject({ state: "lost" });

        const closed = runnerOf({ ...remote, shared_folder: "/nowhere" });
        const unwritten = await closed.submit(specOf(work));
        expect(await untilEnded(closed, unwritten)).toMatchObject({
          state: "lost",
          message: expect.stringMatching(/log file/),
        });

        const refused = { ...work, token: "wrong" };
        const handle = await runner.submit(specOf(refused));
        expect(await untilEnded(runner, handle)).toEqual({ state: "exited", exitCode: 70 });
        expect(Buffer.from((await runner.logs(handle, 0)).bytes).toString()).toContain("answered 401");
      }));

    it("asks for what the step needs, and says what no node has", () =>
      withServer(async (server) => {
        const attemptId = crypto.randomUUID();
        const runner = runnerOf({ ...remote, partition: "main" });
        const work = server.work(attemptId, 'echo "$SLURM_CPUS_ON_NODE $SLURM_MEM_PER_NODE $SLURM_JOB_GPUS"');
        const gpu = { count: 1 };
        const resources = { cpu: 1.5, memoryBytes: 300 * 1024 * 1024, gpu };
        const spec = specOf(work, { attemptId, resources, timeoutSeconds: 600 });
        // At once, as two drivers of one run might: still one job.
        const [handle = "", second] = await Promise.all([runner.submit(spec), runner.submit(spec)]);
        expect(second).toBe(handle);
        expect((await connectSlurm(remote).job(jobOf(handle)))?.time_limit).toBe(12);
        expect(scontrol("show", "job", String(jobOf(handle)))).toContain("Requeue=0");
        await untilEnded(runner, handle);
        expect(server.attempt(attemptId).log.toString()).toBe("2 300 0\n");

        const tooMuch = specOf(work, { resources: { memoryBytes: 2 ** 40 } });
        await expect(runner.submit(tooMuch)).rejects.toMatchObject({ code: "INVALID_INPUT" });
        const noPartition = runnerOf({ ...remote, partition: "none" });
        await expect(noPartition.submit(specOf(work))).rejects.toMatchObject({ at: "with.partition" });
        const noSuchGpu = specOf(work, { resources: { gpu: { count: 1, type: "h900" } } });
        await expect(runner.submit(noSuchGpu)).rejects.toMatchObject({ code: "INVALID_INPUT" });
        await expect(runner.submit(specOf(work, { image: "python:3" }))).rejects.toThrow(/image/);
      }));

    it("waits in the queue with a reason, and is cancelled there", () =>
      withServer(async (server) => {
        const runner = runnerOf(remote);
        const attemptId = crypto.randomUUID();
        // Accepted with a warning, and never started.
        const spec = specOf(server.work(attemptId, "true"), { attemptId, resources: { cpu: 64 } });
        const handle = await runner.submit(spec);
        expect(await runner.status(handle)).toMatchObject({
          state: "pending",
          reason: expect.stringMatching(/^Slurm: /),
        });
        await runner.cancel(handle, 1);
        expect(await untilEnded(runner, handle)).toEqual({ state: "cancelled" });
        expect(server.attempt(attemptId).log.toString()).toBe("");
      }));

    it("is not started a second time by Slurm", () =>
      withServer(async (server) => {
        const runner = runnerOf(remote);
        const attemptId = crypto.randomUUID();
        const work = server.work(attemptId, "echo ready; exec sleep 600");
        const handle = await runner.submit(specOf(work, { attemptId }));
        while (server.attempt(attemptId).log.length === 0) await pause(50);
        // What an administrator can do even to a job that asked not to be put back.
        scontrol("update", `jobid=${jobOf(handle)}`, "requeue=1");
        scontrol("requeue", String(jobOf(handle)));
        expect(await untilEnded(runner, handle)).toMatchObject({ state: "lost" });
        await runner.cancel(handle, 0);
        expect(server.attempt(attemptId).log.toString()).toBe("ready\n");
      }));

    it("does not take a refused token for a lost job", async () => {
      process.env.TEST_SLURM_FORGED = `${process.env.ESPALIER_TEST_SLURM_TOKEN}x`;
      const forged = runnerOf({ ...remote, token_variable: "TEST_SLURM_FORGED" });
      await expect(forged.status('[1,"a",""]')).rejects.toMatchObject({ code: "UNAVAILABLE" });
      const missing = runnerOf({ ...remote, endpoint: `${endpoint}/elsewhere` });
      await expect(missing.status('[1,"a",""]')).rejects.toMatchObject({ code: "UNSUPPORTED" });
      expect(await runnerOf(remote).status('[4000000,"a",""]')).toMatchObject({ state: "lost" });
    });
  });
}

function localWork(attemptDirectory: string, command: string): StepSpec["work"] {
  const variables = { PATH: process.env.PATH ?? "" };
  return { kind: "local", command, workingDirectory: tmpdir(), attemptDirectory, variables };
}

async function untilEnded(runner: StepRunner, handle: string): Promise<StepStatus> {
  for (;;) {
    const status = await runner.status(handle);
    if (status.state !== "pending" && status.state !== "running") return status;
    await pause(50);
  }
}

function scontrol(...options: string[]): string {
  const done = spawnSync("scontrol", options, { encoding: "utf8" });
  expect(done.stderr).toBe("");
  return done.stdout;
}
