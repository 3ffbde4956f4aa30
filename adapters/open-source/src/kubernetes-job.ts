import { EspalierError, type StepSpec } from "@espalier/core";
import type { KubernetesConfig } from "./kubernetes-config.ts";

/** On jobs and pods. */
const attemptLabel = "espalier.dev/attempt";
/** On a job that was asked to end; what became of it is `cancelled` then, whatever else Kubernetes says. */
export const cancelledAnnotation = "espalier.dev/cancelled";

const container = "step";
/** Where the first member of a gang is met: torchrun's usual port. */
const masterPort = 29_500;
/** Added to the step's own grace, in which its launcher stops it and tells. */
const launcherSeconds = 15;
/** Beyond the step's timeout, which the engine enforces. */
const deadlineMarginSeconds = 120;
const daySeconds = 86_400;

/** A name of at most 63 characters for job, secret and service, the same for every submit of an attempt. */
export const jobName = (attemptId: string): string =>
  `espalier-${attemptId.toLowerCase().replaceAll(/[^a-z0-9-]/g, "-")}`.slice(0, 63).replace(/-+$/, "");

/** Readable, as a label's value has to be: at most 63 of [A-Za-z0-9._-], beginning and ending with a letter or digit. */
const labelValue = (text: string): string =>
  text
    .replaceAll(/[^A-Za-z0-9._-]+/g, "-")
    .slice(0, 63)
    .replaceAll(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, "");

/** The Job of an attempt (batch/v1). Never started again by Kubernetes: whether to try again is for the engine to say. */
export function jobOf(config: KubernetesConfig, spec: StepSpec, launcher: string): object {
  const { image, work, nodes = 1, timeoutSeconds } = spec;
  if (work.kind !== "remote") {
    throw new EspalierError("INTERNAL", `This Kubernetes runner can not take ${work.kind} work`, { at: spec.label });
  }
  if (image === undefined) {
    throw new EspalierError("INVALID_INPUT", "A step on Kubernetes needs an image", {
      at: spec.label,
      hint: "Set `image` of the compute in espalier.yaml: any image with Python 3.8 or newer and a shell.",
    });
  }
  const name = jobName(spec.attemptId);
  const labels = {
    "app.kubernetes.io/managed-by": "espalier",
    "app.kubernetes.io/name": labelValue(spec.label),
    [attemptLabel]: labelValue(spec.attemptId),
  };
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name, labels, annotations: { "espalier.dev/label": spec.label } },
    spec: {
      backoffLimit: 0,
      ttlSecondsAfterFinished: config.keep_seconds ?? daySeconds,
      ...(nodes === 1 ? {} : { completions: nodes, parallelism: nodes, completionMode: "Indexed" }),
      ...(timeoutSeconds === undefined
        ? {}
        : { activeDeadlineSeconds: Math.ceil(timeoutSeconds) + deadlineMarginSeconds }),
      template: {
        metadata: { labels },
        spec: podOf(config, spec, { name, image, nodes, launcher, url: work.manifestUrl }),
      },
    },
  };
}

interface Made {
  name: string;
  image: string;
  nodes: number;
  launcher: string;
  url: string;
}

function podOf(config: KubernetesConfig, spec: StepSpec, { name, image, nodes, launcher, url }: Made): object {
  const { resources, graceSeconds } = spec;
  const { gpu, sharedMemoryBytes } = resources;
  const gpuLabel = config.gpu_type_label ?? "nvidia.com/gpu.product";
  const selector = {
    ...config.node_selector,
    ...(gpu?.type === undefined ? {} : { [gpuLabel]: gpu.type }),
  };
  const shared = [{ name: "shared-memory", emptyDir: { medium: "Memory", sizeLimit: String(sharedMemoryBytes) } }];
  return {
    restartPolicy: "Never",
    terminationGracePeriodSeconds: Math.ceil(graceSeconds) + launcherSeconds,
    automountServiceAccountToken: config.service_account !== undefined,
    enableServiceLinks: false,
    ...(config.service_account === undefined ? {} : { serviceAccountName: config.service_account }),
    ...(config.host_network === true ? { hostNetwork: true, dnsPolicy: "ClusterFirstWithHostNet" } : {}),
    ...(nodes === 1 ? {} : { subdomain: name }),
    ...(Object.keys(selector).length === 0 ? {} : { nodeSelector: selector }),
    ...(config.tolerations === undefined ? {} : { tolerations: config.tolerations }),
    ...(config.image_pull_secrets === undefined
      ? {}
      : { imagePullSecrets: config.image_pull_secrets.map((secret) => ({ name: secret })) }),
    ...(sharedMemoryBytes === undefined ? {} : { volumes: shared }),
    containers: [
      {
        name: container,
        image,
        command: [config.python ?? "python3", "-c", launcher, url],
        env: [
          { name: "ESPALIER_TOKEN", valueFrom: { secretKeyRef: { name, key: "token" } } },
          ...(nodes === 1 ? [] : gangVariables(name, nodes)),
        ],
        resources: resourcesOf(config, spec),
        ...(sharedMemoryBytes === undefined
          ? {}
          : { volumeMounts: [{ name: "shared-memory", mountPath: "/dev/shm" }] }),
      },
    ],
  };
}

function gangVariables(name: string, nodes: number): object[] {
  const index = "metadata.annotations['batch.kubernetes.io/job-completion-index']";
  return [
    { name: "ESPALIER_NODES", value: String(nodes) },
    { name: "ESPALIER_NODE_RANK", valueFrom: { fieldRef: { fieldPath: index } } },
    // The first pod's host name in the headless service of the same name.
    { name: "MASTER_ADDR", value: `${name}-0.${name}` },
    { name: "MASTER_PORT", value: String(masterPort) },
  ];
}

/** Memory is asked for and bounded alike, so that a step can not take what was promised to others; processors are only asked for. */
function resourcesOf(config: KubernetesConfig, { resources }: StepSpec): object {
  const { cpu, memoryBytes, gpu } = resources;
  const memory = memoryBytes === undefined ? {} : { memory: String(memoryBytes) };
  const gpus = gpu === undefined ? {} : { [config.gpu_resource ?? "nvidia.com/gpu"]: String(gpu.count) };
  return {
    requests: { ...(cpu === undefined ? {} : { cpu: String(cpu) }), ...memory },
    limits: { ...memory, ...gpus },
  };
}

/** Goes with its job. */
export function secretOf(name: string, jobUid: string, token: string): object {
  return { apiVersion: "v1", kind: "Secret", metadata: ownedBy(name, jobUid), stringData: { token } };
}

/** Headless: gives the members of a gang names. */
export function serviceOf(name: string, jobUid: string): object {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: ownedBy(name, jobUid),
    spec: {
      clusterIP: "None",
      publishNotReadyAddresses: true,
      selector: { "batch.kubernetes.io/job-name": name },
      ports: [{ name: "master", port: masterPort }],
    },
  };
}

const ownedBy = (name: string, uid: string): object => ({
  name,
  labels: { "app.kubernetes.io/managed-by": "espalier" },
  ownerReferences: [{ apiVersion: "batch/v1", kind: "Job", name, uid }],
});
