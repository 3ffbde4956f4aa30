import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type AttemptServer, startAttemptServer, stepRunnerConformance } from "@espalier/conformance";
import type { StepRunner, StepSpec, StepStatus } from "@espalier/core";
import { describe, expect, it } from "vitest";
import { connectRay } from "./ray-client.ts";
import type { RayConfig } from "./ray-config.ts";
import { createRayStepRunner } from "./ray-step-runner.ts";

const address = process.env.ESPALIER_TEST_RAY_ADDRESS;
const file = (name: string): string => fileURLToPath(new URL(`../../../python/${name}`, import.meta.url));
const host = { launcher: file("launcher.py"), driver: file("ray_driver.py") };

if (address === undefined) {
  it.skip("Ray conformance (skipped: needs a cluster; `npm run test:servers -- ray` starts one)", () => undefined);
} else {
  const config: RayConfig = { address, token_variable: "ESPALIER_TEST_RAY_TOKEN" };
  const runnerOf = (more: Partial<RayConfig> = {}): StepRunner => createRayStepRunner({ ...config, ...more }, host);
  const partsOf = (handle: string): [string, string] => JSON.parse(handle) as [string, string];

  stepRunnerConformance(
    { describe, it, expect },
    {
      async open() {
        const server = await startAttemptServer();
        return {
          runner: () => runnerOf(),
          work: async (attemptId, command) => server.work(attemptId, command),
          logs: async (handle, offset) => server.logs(partsOf(handle)[1], offset),
          lose: async (handle) => {
            process.kill(workerOf(partsOf(handle)[1]), "SIGKILL");
          },
          close: () => server.close(),
        };
      },
    },
  );

  describe("on a real cluster", () => {
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
    const submit = (server: AttemptServer, runner: StepRunner, command: string, more: Partial<StepSpec> = {}) => {
      const attemptId = crypto.randomUUID();
      return runner.submit(specOf(server.work(attemptId, command), { attemptId, ...more }));
    };

    it("moves inputs and outputs, and shows tokens neither in the job nor in the step's own Ray", () =>
      withServer(async (server) => {
        const attemptId = crypto.randomUUID();
        const bytes = Buffer.from("line\n".repeat(100_000));
        const command =
          'wc -l <"$ESPALIER_INPUTS/data" | tr -d " " >"$ESPALIER_OUTPUTS/count"; env | grep -c "^RAY_" || true';
        const work = server.work(attemptId, command, { inputs: { data: bytes }, outputs: ["count"] });
        const runner = runnerOf();
        const handle = await runner.submit(specOf(work, { attemptId }));
        expect(await untilEnded(runner, handle)).toEqual({ state: "exited", exitCode: 0 });
        expect(server.attempt(attemptId).outputs.count?.[""]?.toString()).toBe("100000\n");
        expect(server.attempt(attemptId).log.toString()).toBe("0\n");
        const api = connectRay(config);
        const shown = JSON.stringify([await api.job(partsOf(handle)[0]), await api.logs(partsOf(handle)[0])]);
        expect(shown + handle).not.toContain(work.token);
      }));

    it("runs attempts that come together as tasks of one job, each with an end of its own", () =>
      withServer(async (server) => {
        const runner = runnerOf();
        const codes = [0, 1, 2, 3, 4, 5];
        const handles = await Promise.all(codes.map((code) => submit(server, runner, `exit ${code}`)));
        expect(new Set(handles.map((handle) => partsOf(handle)[0])).size).toBe(1);
        const ends = await Promise.all(handles.map((handle) => untilEnded(runner, handle)));
        expect(ends).toEqual(codes.map((exitCode) => ({ state: "exited", exitCode })));
      }));

    it("stops one attempt of a job and leaves the others alone; one that waits for a node too", () =>
      withServer(async (server) => {
        const runner = runnerOf();
        const [stopped = "", other = "", waits = ""] = await Promise.all([
          submit(server, runner, "echo ready; exec sleep 600"),
          submit(server, runner, "until [ -e /tmp/never ] || [ $((n=n+1)) -gt 30 ]; do sleep 0.1; done"),
          submit(server, runner, "true", { resources: { cpu: 64 } }),
        ]);
        while (server.attempt(partsOf(stopped)[1]).log.length === 0) await pause(50);
        while ((await runner.status(waits)).state !== "pending") await pause(50);
        expect(await runner.status(waits)).toEqual({
          state: "pending",
          reason: "no node of the cluster has CPU 64",
        });
        await Promise.all([runner.cancel(stopped, 1), runner.cancel(waits, 1)]);
        expect(await untilEnded(runner, stopped)).toEqual({ state: "cancelled" });
        expect(await untilEnded(runner, waits)).toEqual({ state: "cancelled" });
        expect(await untilEnded(runner, other)).toEqual({ state: "exited", exitCode: 0 });
      }));

    it("gives a gang a node each, one meeting point, and one end", () =>
      withServer(async (server) => {
        const runner = runnerOf();
        const show = 'echo "$ESPALIER_NODES $ESPALIER_NODE_RANK $MASTER_ADDR $MASTER_PORT"';
        const good = await submit(server, runner, show, { nodes: 3 });
        expect(await untilEnded(runner, good)).toEqual({ state: "exited", exitCode: 0 });
        expect(server.attempt(partsOf(good)[1]).log.toString()).toMatch(/^3 0 127\.[\d.]+ \d+$/m);
        const bad = await submit(server, runner, '[ "$ESPALIER_NODE_RANK" = 1 ] && exit 5; exec sleep 600', {
          nodes: 2,
        });
        expect(await untilEnded(runner, bad)).toEqual({ state: "exited", exitCode: 5 });
        const many = await submit(server, runner, "true", { nodes: 4 });
        while ((await runner.status(many)).state !== "pending") await pause(50);
        await runner.cancel(many, 1);
        expect(await untilEnded(runner, many)).toEqual({ state: "cancelled" });
      }));

    it("keeps what the launcher says", () =>
      withServer(async (server) => {
        const runner = runnerOf();
        const attemptId = crypto.randomUUID();
        const refused = { ...server.work(attemptId, "true"), token: "wrong" } as StepSpec["work"];
        const handle = await runner.submit(specOf(refused, { attemptId }));
        expect(await untilEnded(runner, handle)).toEqual({ state: "exited", exitCode: 70 });
        expect(Buffer.from((await runner.logs(handle, 0)).bytes).toString()).toContain("wrong token");
      }));

    it("refuses what Ray can not give", () =>
      withServer(async (server) => {
        const runner = runnerOf();
        const shared = submit(server, runner, "true", { resources: { sharedMemoryBytes: 1024 } });
        await expect(shared).rejects.toMatchObject({ code: "INVALID_INPUT" });
        await expect(submit(server, runner, "true", { image: "python:3" })).rejects.toThrow(/image/);
      }));

    it("says what is wrong with the address or the token, and takes neither for a lost job", async () => {
      const handle = JSON.stringify(["espalier-none", "none"]);
      expect(await runnerOf().status(handle)).toMatchObject({ state: "lost" });
      process.env.TEST_RAY_FORGED = "x".repeat(48);
      const forged = runnerOf({ token_variable: "TEST_RAY_FORGED" });
      await expect(forged.status(handle)).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
      const without = runnerOf({ token_variable: "TEST_RAY_NO_TOKEN" });
      await expect(without.status(handle)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
      const elsewhere = runnerOf({ address: `${address}/elsewhere` });
      await expect(elsewhere.status(handle)).rejects.toMatchObject({ code: "UNSUPPORTED" });
      const nobody = runnerOf({ address: "http://127.0.0.1:9" });
      await expect(nobody.status(handle)).rejects.toMatchObject({ code: "UNREACHABLE" });
    });
  });
}

/** Process id of the Ray worker that runs the launcher of an attempt. */
function workerOf(attemptId: string): number {
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, "utf8");
      if (!command.includes("launcher.py") || !command.includes(attemptId)) continue;
      return Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${name}/status`, "utf8"))?.[1]);
    } catch {
      // It ended between the two looks.
    }
  }
  throw new Error(`no launcher of ${attemptId}`);
}

async function untilEnded(runner: StepRunner, handle: string): Promise<StepStatus> {
  for (;;) {
    const status = await runner.status(handle);
    if (status.state !== "pending" && status.state !== "running") return status;
    await pause(50);
  }
}
