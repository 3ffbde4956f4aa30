import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StepSpec } from "@espalier/core";
import { expect, test } from "vitest";
import { kubernetesAccess } from "./kubernetes-credentials.ts";
import { fromKubernetesAnswer } from "./kubernetes-errors.ts";
import { jobName, jobOf } from "./kubernetes-job.ts";
import { type Observed, statusOfJob } from "./kubernetes-status.ts";

const meta = (more: object = {}) => ({ name: "j", creationTimestamp: "2026-11-26T17:00:00Z", ...more });
const condition = (type: string, reason: string, message = "") => ({ type, status: "True", reason, message });
const pod = (status: object) => ({ metadata: meta(), status });
const terminated = (exitCode: number, reason = "Error", finishedAt?: string) =>
  pod({ phase: "Failed", containerStatuses: [{ state: { terminated: { exitCode, reason, finishedAt } } }] });
const scheduled = { type: "PodScheduled", status: "True", lastTransitionTime: "2026-11-26T17:09:00Z" };
const leaving = (deletionTimestamp: string, conditions: object[] = []) => ({
  metadata: meta({ deletionTimestamp }),
  status: { phase: "Running", conditions, containerStatuses: [{ state: { running: {} } }] },
});
const waiting = (reason: string, message: string) =>
  pod({ phase: "Pending", containerStatuses: [{ state: { waiting: { reason, message } } }] });
const observed = (conditions: object[], pods: Observed["pods"], more: Partial<Observed> = {}): Observed => ({
  job: { metadata: meta(), status: { conditions } },
  pods,
  warnings: [],
  nowMilliseconds: Date.parse("2026-11-26T17:10:00Z"),
  pullSeconds: 300,
  ...more,
});

test.each<[string, Observed, object]>([
  ["without a pod", observed([], []), { state: "pending", reason: "Kubernetes has not made its pod yet" }],
  ["without a pod, of a quota", observed([], [], { warnings: ["exceeded quota: q"] }), { reason: "exceeded quota: q" }],
  ["running", observed([], [pod({ phase: "Running" })]), { state: "running" }],
  ["complete", observed([condition("Complete", "")], []), { state: "exited", exitCode: 0 }],
  [
    "failed",
    observed([condition("Failed", "BackoffLimitExceeded")], [terminated(7)]),
    { state: "exited", exitCode: 7 },
  ],
  [
    "failed as a gang",
    observed([condition("Failed", "BackoffLimitExceeded")], [terminated(0), terminated(9)]),
    { state: "exited", exitCode: 9 },
  ],
  [
    "failed as a gang, whose others were ended for it",
    observed(
      [condition("Failed", "BackoffLimitExceeded")],
      [terminated(143, "Error", "2026-11-26T17:05:09Z"), terminated(5, "Error", "2026-11-26T17:05:00Z")],
    ),
    { state: "exited", exitCode: 5 },
  ],
  [
    "that needed more memory than it asked for",
    observed([condition("Failed", "BackoffLimitExceeded")], [terminated(137, "OOMKilled")]),
    { state: "exited", exitCode: 137, reason: "Kubernetes: OOMKilled" },
  ],
  [
    "whose node died under it",
    observed(
      [condition("FailureTarget", "BackoffLimitExceeded")],
      [leaving("2026-11-26T17:08:00Z", [condition("DisruptionTarget", "DeletionByTaintManager", "node n is gone")])],
    ),
    { state: "lost", message: "Kubernetes: DeletionByTaintManager: node n is gone" },
  ],
  ["that is going within its time", observed([], [leaving("2026-11-26T17:09:30Z")]), { state: "running" }],
  ["without its pod", observed([condition("Failed", "BackoffLimitExceeded", "limit")], []), { state: "lost" }],
  [
    "evicted",
    observed(
      [condition("Failed", "BackoffLimitExceeded")],
      [pod({ phase: "Failed", reason: "Evicted", message: "The node was low on resource: memory." })],
    ),
    { state: "lost", message: "Kubernetes: Evicted: The node was low on resource: memory." },
  ],
  ["past its deadline", observed([condition("Failed", "DeadlineExceeded", "long")], []), { cause: "timeout" }],
  [
    "whose image is pulled in vain for long",
    observed([], [waiting("ImagePullBackOff", "no such host")]),
    { state: "lost", message: "Kubernetes: ImagePullBackOff: no such host" },
  ],
  [
    "whose image is pulled in vain for a while",
    observed([], [waiting("ErrImagePull", "no such host")], { nowMilliseconds: Date.parse("2026-11-26T17:01:00Z") }),
    { state: "pending" },
  ],
  [
    "whose image is pulled in vain since its node was found",
    observed([], [pod({ ...waiting("ErrImagePull", "no such host").status, conditions: [scheduled] })]),
    { state: "pending" },
  ],
])("the status of a job %s", (_, view, wanted) => {
  expect(statusOfJob(view).status).toMatchObject(wanted);
});

test("a job that was cancelled is cancelled, however its pods ended", () => {
  const job = { metadata: meta({ annotations: { "espalier.dev/cancelled": "true" } }) };
  const failed = { ...job, status: { conditions: [condition("Failed", "DeadlineExceeded")] } };
  expect(statusOfJob(observed([], [], { job: failed })).status).toEqual({ state: "cancelled" });
  expect(statusOfJob(observed([], [], { job })).status).toEqual({ state: "running" });
});

test("a job asks for what the step needs, and is never tried again by Kubernetes", () => {
  const spec: StepSpec = {
    attemptId: "01K8C872PK7GNY5XEJNYKXC521",
    label: "flights/train#1",
    work: { kind: "remote", manifestUrl: "http://plane/manifest", token: "hush" },
    resources: { cpu: 2, memoryBytes: 1024, gpu: { count: 1, type: "A100" } },
    image: "python:3",
    graceSeconds: 10,
    timeoutSeconds: 600,
    nodes: 4,
  };
  const text = JSON.stringify(jobOf({}, spec, "print()"));
  expect(jobName(spec.attemptId)).toBe("espalier-01k8c872pk7gny5xejnykxc521");
  for (const part of ['"backoffLimit":0', '"activeDeadlineSeconds":720', '"completions":4', '"cpu":"2"']) {
    expect(text).toContain(part);
  }
  expect(text).toContain('"nodeSelector":{"nvidia.com/gpu.product":"A100"}');
  expect(text).toContain('"nvidia.com/gpu":"1"');
  expect(text).not.toContain("hush");
});

test.each([
  [401, "Unauthorized", "UNAUTHENTICATED"],
  [403, 'jobs.batch "x" is forbidden: exceeded quota: q', "RATE_LIMITED"],
  [403, 'jobs.batch is forbidden: User "u" cannot create', "PERMISSION_DENIED"],
  [422, 'Job.batch "x" is invalid', "INVALID_INPUT"],
  [500, "etcdserver: request timed out", "UNAVAILABLE"],
])("an answer %i keeps the server's words", (status, message, code) => {
  const text = JSON.stringify({ kind: "Status", message, reason: "R", code: status });
  expect(fromKubernetesAnswer(status, text, "creating")).toMatchObject({
    code,
    message: `Kubernetes, creating: ${message}`,
  });
});

test("a kubeconfig is read with its context, a login program run, and what it lacks named", async () => {
  const folder = mkdtempSync(join(tmpdir(), "espalier-kubeconfig-"));
  const kubeconfig = join(folder, "config");
  const exec = {
    apiVersion: "client.authentication.k8s.io/v1",
    command: "sh",
    args: ["-c", `echo '{"status":{"token":"of the program"}}'`],
  };
  const document = {
    "current-context": "one",
    clusters: [
      { name: "c", cluster: { server: "https://host:6443/", "certificate-authority-data": btoa("authority") } },
    ],
    users: [
      { name: "u", user: { token: "of the file" } },
      { name: "p", user: { exec } },
    ],
    contexts: [
      { name: "one", context: { cluster: "c", user: "u", namespace: "team" } },
      { name: "two", context: { cluster: "c", user: "p" } },
      { name: "three", context: { cluster: "gone", user: "u" } },
    ],
  };
  writeFileSync(kubeconfig, JSON.stringify(document));
  try {
    expect(await kubernetesAccess({ kubeconfig })).toEqual({
      server: "https://host:6443",
      namespace: "team",
      verifies: true,
      authority: "authority",
      token: "of the file",
    });
    expect(await kubernetesAccess({ kubeconfig, context: "two", namespace: "mine" })).toMatchObject({
      namespace: "mine",
      token: "of the program",
    });
    await expect(kubernetesAccess({ kubeconfig, context: "three" })).rejects.toThrow(/no usable cluster `gone`/);
    await expect(kubernetesAccess({ kubeconfig, context: "four" })).rejects.toMatchObject({
      hint: "It names: one, two, three.",
    });
    await expect(kubernetesAccess({ kubeconfig: join(folder, "none") })).rejects.toMatchObject({
      code: "INVALID_CONFIG",
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a login program is asked once while its answer is good, and again after it failed", async () => {
  const folder = mkdtempSync(join(tmpdir(), "espalier-login-"));
  const calls = join(folder, "calls");
  const write = (script: string): string => {
    const kubeconfig = join(folder, "config");
    const exec = { apiVersion: "client.authentication.k8s.io/v1", command: "sh", args: ["-c", script] };
    const document = {
      "current-context": "one",
      clusters: [{ name: "c", cluster: { server: "https://host:6443" } }],
      users: [{ name: "p", user: { exec } }],
      contexts: [{ name: "one", context: { cluster: "c", user: "p" } }],
    };
    writeFileSync(kubeconfig, JSON.stringify(document));
    return kubeconfig;
  };
  try {
    const answer = JSON.stringify({ status: { token: "good", expirationTimestamp: "2999-01-01T00:00:00Z" } });
    const once = write(`echo call >>${calls}; echo '${answer}'`);
    for (let request = 0; request < 3; request += 1) {
      expect(await kubernetesAccess({ kubeconfig: once })).toMatchObject({ token: "good" });
    }
    expect(readFileSync(calls, "utf8")).toBe("call\n");
    const later = write(`test -e ${folder}/ready || { echo 'log in first' >&2; exit 1; }; echo '${answer}'`);
    await expect(kubernetesAccess({ kubeconfig: later })).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("log in first"),
    });
    writeFileSync(join(folder, "ready"), "");
    expect(await kubernetesAccess({ kubeconfig: later })).toMatchObject({ token: "good" });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
