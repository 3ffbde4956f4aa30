import type { ToolManifest } from "@espalier/core";
import { z } from "zod";

const absolutePath = z.string().regex(/^\/[^\0\n]*$/, "an absolute path");
const variableName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/);

export const rayConfigSchema = z.strictObject({
  /** Where the head node's dashboard and job server listen, such as `http://head:8265`. */
  address: z.url({ protocol: /^https?$/ }),
  /** Name of the environment variable with the cluster's token; `RAY_AUTH_TOKEN` unless told. Unset: no token is sent. */
  token_variable: variableName.optional(),
  /** Instead: a file with the token, read for every request. */
  token_file: absolutePath.optional(),
  /** Folder on the node in which a step is laid out; its temporary folder unless told. */
  work_folder: absolutePath.optional(),
  /** true: steps find `RAY_ADDRESS` and the cluster's token, so that they can use Ray themselves (Ray Train, Ray Data). */
  ray_in_steps: z.boolean().optional(),
  /** Hours after which a job that has ended is taken off Ray's list, once its attempts are taken in; 24 unless told. */
  keep_jobs_hours: z.number().min(1).optional(),
});
export type RayConfig = z.infer<typeof rayConfigSchema>;

export const rayManifest: ToolManifest = {
  tool: "ray",
  provider: "open-source",
  component: "compute",
  milestone: 5,
  summary:
    "Steps as tasks of a Ray cluster, by its Jobs REST API; many attempts share a job, and a gang has a placement group",
  capabilities: ["gpu", "queue", "cancel", "gang", "map"],
  skills: ["python", "linux", "ray"],
  ownership: {
    place: "own servers",
    setUpHours: [8, 40],
    hoursAMonth: [4, 16],
    dollarsAMonth: [100, 600],
    lockIn: 0,
    wayOut: "steps are commands that run anywhere",
    source: "estimate of this project, 2026-11; prices of small rented servers",
    asOf: "2026-11-27",
  },
  permissions: ["the cluster's token, where it asks for one"],
  cost: { money: "the cluster", operations: "a Ray cluster (KubeRay or `ray up`), one for each trust domain" },
  verified: { label: "real", against: "Ray 2.60.0, three nodes on one machine", live: "not applicable" },
  losses: [
    "Whoever has the cluster's token can read what runs there: a cluster is one trust domain.",
    "Jobs die with the head node unless the cluster's own store is kept elsewhere; attempts are then lost and made anew by `retry`.",
    "Container images are not used: a step runs in the Python of the node, or in its own `environment: { python: ... }`.",
    "Shared memory of a step can not be set.",
    "Ray counts `memory` when it places a step; its memory monitor, not a hard limit, ends what uses up a node.",
  ],
};
