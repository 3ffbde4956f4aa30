import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type AttemptServer, startAttemptServer, stepRunnerConformance } from "@espalier/conformance";
import type { StepRunner, StepSpec, StepStatus } from "@espalier/core";
import { describe, expect, it } from "vitest";
import { connectKubernetes } from "./kubernetes-client.ts";
import type { KubernetesConfig } from "./kubernetes-config.ts";
import { createKubernetesStepRunner } from "./kubernetes-step-runner.ts";

const kubeconfig = process.env.ESPALIER_TEST_KUBECONFIG;
const image = process.env.ESPALIER_TEST_KUBERNETES_IMAGE ?? "";
const host = { launcher: fileURLToPath(new URL("../../../python/launcher.py", import.meta.url)) };

if (kubeconfig === undefined) {
  it.skip("Kubernetes conformance (skipped: needs a cluster; `npm run test:servers -- kubernetes` starts one)", () =>
    undefined);
} else {
  // The attempts' server of the tests listens on loopback, which a pod has only where it shares the node's network.
  const config: KubernetesConfig = { kubeconfig, host_network: true };
  const api = connectKubernetes(config);
  const withImage = (runner: StepRunner): StepRunner => ({
    ...runner,
    submit: (spec, context) => runner.submit({ image, ...spec }, context),
  });
  const runnerOf = (more: Partial<KubernetesConfig> = {}): StepRunner =>
    withImage(createKubernetesStepRunner({ ...config, ...more }, host));
  const podOf = async (job: string): Promise<string> =>
    (await api.list("v1", "pods", { labelSelector: `batch.kubernetes.io/job-name=${job}` }))[0]?.metadata.name ?? "";

  stepRunnerConformance(
    { describe, it, expect },
    {
      async open() {
        const server = await startAttemptServer();
        const attempts = new Map<string, string>();
        return {
          runner: () => {
            const runner = runnerOf();
            return {
              ...runner,
              async submit(spec, context) {
                const handle = await runner.submit(spec, context);
                attempts.set(handle, spec.attemptId);
                return handle;
              },
            };
          },
          work: async (attemptId, command) => server.work(attemptId, command),
          logs: async (handle, offset) => server.logs(attempts.get(handle) ?? "", offset),
          lose: async (handle) => api.remove("v1", "pods", await podOf(handle)),
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
    const specOf = (server: AttemptServer, command: string, more: Partial<StepSpec> = {}): StepSpec => {
      const attemptId = crypto.randomUUID();
      const work = server.work(attemptId, command, { outputs: ["made"] });
      return { attemptId, label: "flights/train#1", work, resources: {}, graceSeconds: 1, ...more };
    };

    it("gives a step its memory, its shared memory and nothing of the cluster's, and shows the token to nobody", () =>
      withServer(async (server) => {
        const mebibyte = 1024 * 1024;
        const command =
          'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null >"$ESPALIER_OUTPUTS/made"; ' +
          'df -k /dev/shm | tail -1 >>"$ESPALIER_OUTPUTS/made"; ls /var/run/secrets 2>&1 | tail -1';
        const spec = specOf(server, command, {
          resources: { cpu: 0.5, memoryBytes: 128 * mebibyte, sharedMemoryBytes: 16 * mebibyte },
        });
        const runner = runnerOf();
        const handle = await runner.submit(spec);
        expect(await untilEnded(runner, handle)).toEqual({ state: "exited", exitCode: 0 });
        const job = JSON.stringify([
          await api.read("batch/v1", "jobs", handle),
          await api.read("v1", "pods", await podOf(handle)),
        ]);
        expect(job).toContain(`"memory":"${128 * mebibyte}"`);
        expect(job).toContain(`"sizeLimit":"${16 * mebibyte}"`);
        expect(job).not.toContain(spec.work.kind === "remote" ? spec.work.token : "");
        expect(server.attempt(spec.attemptId).log.toString()).toContain("No such file or directory");
        const made = server.attempt(spec.attemptId).outputs.made?.[""]?.toString() ?? "";
        expect(made).toContain(String(128 * mebibyte));
        expect(made).toMatch(/ 16384 .*\/dev\/shm/);
      }));

    it("says why a step waits, and takes it back", () =>
      withServer(async (server) => {
        const runner = runnerOf();
        const handle = await runner.submit(specOf(server, "true", { resources: { cpu: 1_000 } }));
        const waits = async (): Promise<string> => {
          const status = await runner.status(handle);
          return status.state === "pending" ? (status.reason ?? "") : status.state;
        };
        while (!(await waits()).includes("Insufficient cpu")) await pause(100);
        await runner.cancel(handle, 1);
        expect(await untilEnded(runner, handle)).toEqual({ state: "cancelled" });
      }));

    it("gives up on an image that can not be pulled, with the kubelet's own words", () =>
      withServer(async (server) => {
        const runner = runnerOf({ pull_seconds: 1 });
        const handle = await runner.submit(specOf(server, "true", { image: "127.0.0.1:9/none:1" }));
        expect(await untilEnded(runner, handle)).toMatchObject({
          state: "lost",
          message: expect.stringMatching(/ImagePull.*127\.0\.0\.1:9/s),
        });
        const wrong = await runner.submit(specOf(server, "true", { image: "Not An Image" }));
        expect(await untilEnded(runner, wrong)).toMatchObject({
          state: "lost",
          message: expect.stringMatching(/InvalidImageName/),
        });
      }));

    it("numbers the members of a gang, one of which fails for all", () =>
      withServer(async (server) => {
        const runner = runnerOf();
        const show = 'echo "$ESPALIER_NODES $ESPALIER_NODE_RANK $MASTER_ADDR $MASTER_PORT" >"$ESPALIER_OUTPUTS/made"';
        const good = specOf(server, show, { nodes: 2 });
        const handle = await runner.submit(good);
        expect(await untilEnded(runner, handle)).toEqual({ state: "exited", exitCode: 0 });
        expect(server.attempt(good.attemptId).outputs.made?.[""]?.toString()).toBe(`2 0 ${handle}-0.${handle} 29500\n`);
        expect(await api.read("v1", "services", handle)).toBeDefined();
        const bad = await runner.submit(
          specOf(server, '[ "$ESPALIER_NODE_RANK" = 1 ] && exit 5; exec sleep 600', { nodes: 2 }),
        );
        expect(await untilEnded(runner, bad)).toEqual({ state: "exited", exitCode: 5 });
      }));

    it("tells a quota that is used up, and refuses what it can not take", () =>
      withServer(async (server) => {
        const quota = {
          apiVersion: "v1",
          kind: "ResourceQuota",
          metadata: { name: "none" },
          spec: { hard: { pods: "0" } },
        };
        await api.create("v1", "resourcequotas", quota);
        try {
          const runner = runnerOf();
          const handle = await runner.submit(specOf(server, "true"));
          const waits = async (): Promise<string> => {
            const status = await runner.status(handle);
            return status.state === "pending" ? (status.reason ?? "") : status.state;
          };
          while (!(await waits()).includes("exceeded quota")) await pause(100);
          await runner.cancel(handle, 1);
          expect(await untilEnded(runner, handle)).toEqual({ state: "cancelled" });
        } finally {
          await api.remove("v1", "resourcequotas", "none");
        }
        const bare = createKubernetesStepRunner(config, host);
        await expect(bare.submit(specOf(server, "true"))).rejects.toThrow(/needs an image/);
        const nowhere = runnerOf({ namespace: "nowhere" });
        await expect(nowhere.submit(specOf(server, "true"))).rejects.toMatchObject({ code: "NOT_FOUND" });
      }));
  });
}

async function untilEnded(runner: StepRunner, handle: string): Promise<StepStatus> {
  for (;;) {
    const status = await runner.status(handle);
    if (status.state !== "pending" && status.state !== "running") return status;
    await pause(100);
  }
}
