import type { ToolManifest } from "@espalier/core";
import { z } from "zod";

const absolutePath = z.string().regex(/^\/[^\0\n]*$/, "an absolute path");
const variableName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/);

export const slurmConfigSchema = z.strictObject({
  /** Where slurmrestd listens. */
  endpoint: z.url({ protocol: /^https?$/ }),
  /** The user whose token it is; jobs run as this user. */
  user: z.string().min(1),
  /** Name of the environment variable with the token (`scontrol token`); `SLURM_JWT` unless told. */
  token_variable: variableName.optional(),
  /** Instead: a file with the token, read for every request, so that a token may be renewed under a running control plane. */
  token_file: absolutePath.optional(),
  partition: z.string().min(1).optional(),
  account: z.string().min(1).optional(),
  qos: z.string().min(1).optional(),
  /** Python 3.8 or newer on the nodes; `python3` unless told. */
  python: z.string().min(1).optional(),
  /** Shell lines that run on the node first, such as `module load python/3.12`. */
  setup: z.string().optional(),
  /** Folder on the node in which a step is laid out; its temporary folder unless told. */
  work_folder: absolutePath.optional(),
  /**
   * A folder that the control plane and the nodes see under one path. There lie the launcher's own words and the exit code, which is then
   * known for longer than Slurm remembers a job.
   */
  shared_folder: absolutePath.optional(),
  /** true: the nodes see the project's folder under the path it has here, and steps run there without the launcher. */
  shares_project: z.boolean().optional(),
});
export type SlurmConfig = z.infer<typeof slurmConfigSchema>;

export const slurmManifest: ToolManifest = {
  tool: "slurm",
  provider: "open-source",
  component: "compute",
  milestone: 5,
  summary: "Steps as batch jobs of a Slurm cluster, by its REST service (slurmrestd, v0.0.38)",
  capabilities: ["gpu", "queue", "cancel", "shares-files"],
  skills: ["linux", "slurm"],
  ownership: {
    place: "own servers",
    setUpHours: [24, 80],
    hoursAMonth: [6, 24],
    dollarsAMonth: [0, 500],
    lockIn: 0,
    wayOut: "steps are commands that run anywhere",
    source: "estimate of this project, 2026-11; prices of small rented servers",
    asOf: "2026-11-27",
  },
  permissions: ["a JWT of the user whose jobs they are"],
  cost: { money: "the cluster", operations: "a Slurm cluster with slurmrestd and JWT; tokens to renew" },
  verified: { label: "real", against: "Slurm 22.05.8, two nodes on one machine", live: "not applicable" },
  losses: [
    "Between SIGTERM and SIGKILL a step has at most the cluster's KillWait.",
    "Slurm forgets an ended job after its MinJobAge (300 s by default); with `shared_folder` the exit code stays known.",
    "Without `shared_folder` what the launcher itself prints is lost; the step's log is not, it comes by HTTP.",
    "Files in `shared_folder` stay there: two small ones an attempt.",
    "Container images are not used.",
  ],
};
