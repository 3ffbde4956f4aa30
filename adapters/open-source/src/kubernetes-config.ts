import type { ToolManifest } from "@espalier/core";
import { z } from "zod";

const absolutePath = z.string().regex(/^\/[^\0\n]*$/, "an absolute path");
const dnsName = z.string().regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/, "lower-case letters, digits and '-'");

export const kubernetesConfigSchema = z.strictObject({
  /** File; left out: the first of KUBECONFIG, the service account of the pod that the control plane runs in, `~/.kube/config`. */
  kubeconfig: absolutePath.optional(),
  /** Of the kubeconfig; its current one unless told. */
  context: z.string().min(1).optional(),
  /** Left out: that of the context, or `default`. */
  namespace: dnsName.optional(),
  /** Whose identity a step has; left out, none that it could use: no token is mounted. */
  service_account: dnsName.optional(),
  node_selector: z.record(z.string(), z.string()).optional(),
  /** As in a pod's specification. */
  tolerations: z.array(z.record(z.string(), z.union([z.string(), z.number()]))).optional(),
  image_pull_secrets: z.array(dnsName).optional(),
  /** Resource that a GPU is counted by; `nvidia.com/gpu` unless told. */
  gpu_resource: z.string().min(1).optional(),
  /** Label of a node that tells its type of GPU; `nvidia.com/gpu.product` unless told. */
  gpu_type_label: z.string().min(1).optional(),
  /** true: pods share the node's network; for a cluster on one machine whose control plane listens on loopback. */
  host_network: z.boolean().optional(),
  /** Python 3.8 or newer in the image; `python3` unless told. */
  python: z.string().min(1).optional(),
  /** How long an ended job stays to be looked at; a day unless told. */
  keep_seconds: z.int().min(300).optional(),
  /** How long an image may fail to be pulled before the attempt is lost; five minutes unless told. */
  pull_seconds: z.int().positive().optional(),
});
export type KubernetesConfig = z.infer<typeof kubernetesConfigSchema>;

export const kubernetesManifest: ToolManifest = {
  tool: "kubernetes",
  provider: "open-source",
  component: "compute",
  milestone: 5,
  summary: "Steps as Jobs of a Kubernetes cluster, each in an image, by its REST API",
  capabilities: ["gpu", "queue", "cancel", "images", "gang", "shared-memory"],
  skills: ["kubernetes", "containers"],
  ownership: {
    place: "own servers",
    setUpHours: [16, 80],
    hoursAMonth: [8, 40],
    dollarsAMonth: [150, 800],
    lockIn: 0,
    wayOut: "steps are commands in images that run anywhere",
    source: "estimate of this project, 2026-11; prices of small rented servers",
    asOf: "2026-11-27",
  },
  permissions: [
    "create, get, list, patch and delete jobs.batch",
    "get and list pods",
    "get pods/log",
    "create, get and delete secrets",
  ],
  cost: { money: "the cluster", operations: "a Kubernetes cluster, a namespace with quotas, and images" },
  verified: { label: "real", against: "Kubernetes 1.34.4, kubelet over containerd 1.6", live: "not applicable" },
  losses: [
    "A gang's pods are scheduled one by one: where others take the place of a part, the rest waits. Kueue or Volcano may be put before it.",
    "The members of a gang find the first by its name, for which the cluster needs DNS.",
    "Between SIGTERM and SIGKILL a pod has the grace of the step that it was made for.",
    "What the launcher itself prints is lost with the pod; the step's log is not, it comes by HTTP.",
  ],
};
